// Story (c): free-form messages need an open window, and only the person opens it, for 24 hours.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Accepted, type AirlineSystem, airlineSystem } from './airline-system.ts';
import { type AirlineTown, airlineTown, type Passenger } from './airline-town.ts';
import { statusesOf, waitForStatus, waitForText } from './read-webhook.ts';
import { type RelayDatabase, relayDatabase } from './relay-database.ts';
import { shownText, shows } from './shown-text.ts';

let scene: AirlineTown;
let system: AirlineSystem;
let passenger: Passenger;
let database: RelayDatabase;

const words = 'Ihr Flug NW101 startet jetzt um 07:20 Uhr von Gate C3. Ihre Bordkarte gilt weiter.';

beforeAll(async () => {
  scene = await airlineTown();
  system = airlineSystem(scene.firm);
  passenger = await scene.newcomer();
  database = await relayDatabase(scene.town);
});
afterAll(async () => {
  await database?.[Symbol.asyncDispose]();
  await scene?.[Symbol.asyncDispose]();
});

async function expectOutsideWindow({ wamid }: Accepted): Promise<void> {
  await waitForStatus(scene.sink, wamid, 'failed');
  expect(statusesOf(scene.sink, wamid)).toMatchObject([
    {
      status: 'failed',
      errors: [
        {
          code: 131047,
          title: 'Re-engagement message',
          error_data: { details: expect.stringContaining('24 hours') },
        },
      ],
    },
  ]);
}

test('to a person who never wrote, a free text fails with 131047', async () => {
  await expectOutsideWindow(await system.sendText(passenger.number, 'Guten Tag!'));
  expect(passenger.received).toEqual([]);
});

test('a template reaches that person, and opens no window', async () => {
  const change = { flight: 'NW101', time: '07:20', gate: 'C3' };
  const { wamid } = await system.sendFlightUpdate({ to: passenger.number, ...change });
  const shown = await passenger.waitFor(shows(words));
  await passenger.account.markRead(shown.conversationId, shown.messageId);
  await waitForStatus(scene.sink, wamid, 'read');
  await expectOutsideWindow(await system.sendText(passenger.number, 'Noch Fragen?'));
  expect(passenger.received.map(shownText)).toEqual([words]);
});

test('after the person has written, the free text goes through', async () => {
  await passenger.sendTextToNumber(scene.firm.number, 'Darf mein Hund mit?');
  await waitForText(scene.sink, 'Darf mein Hund mit?');
  const { wamid } = await system.sendText(passenger.number, 'Ja, in einer Tasche.');
  await passenger.waitFor(shows('Ja, in einer Tasche.'));
  await waitForStatus(scene.sink, wamid, 'delivered');
});

test('24 hours later it is closed again, until the person writes once more', async () => {
  expect(await database.letWindowsEnd()).toBe(1);
  await expectOutsideWindow(await system.sendText(passenger.number, 'Und eine Katze?'));
  await passenger.sendTextToNumber(scene.firm.number, 'Und ein Vogel?');
  await waitForText(scene.sink, 'Und ein Vogel?');
  const { wamid } = await system.sendText(passenger.number, 'Auch ein Vogel.');
  await passenger.waitFor(shows('Auch ein Vogel.'));
  await waitForStatus(scene.sink, wamid, 'delivered');
  const shown = passenger.received.map(shownText);
  expect(shown).toEqual([words, 'Ja, in einer Tasche.', 'Auch ein Vogel.']);
});
