// Story (b): a person blocks a firm. The firm learns no more than that the message could not be delivered; the person sees nothing.
import type { ReceivedMessage } from '@siegel/client';
import type { WebhookStatus } from '@siegel/protocol/cloud-api';
import { PhoneNumber } from '@siegel/protocol/ids';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Accepted, type AirlineSystem, airlineSystem } from './airline-system.ts';
import { type AirlineTown, airlineTown, type Passenger } from './airline-town.ts';
import { statusesOf, waitForStatus, waitForText } from './read-webhook.ts';
import { shownText, shows } from './shown-text.ts';

let scene: AirlineTown;
let system: AirlineSystem;
let passenger: Passenger;
let hello: ReceivedMessage;
/** what was refused while the block stood */
const refused: Accepted[] = [];

const change = (gate: string) => ({ flight: 'NW318', time: '11:05', gate });
const words = (gate: string) =>
  `Ihr Flug NW318 startet jetzt um 11:05 Uhr von Gate ${gate}. Ihre Bordkarte gilt weiter.`;

/** The one status of a message that failed, without what names the message and its person. */
async function failureOf({ wamid }: Accepted): Promise<Partial<WebhookStatus>> {
  await waitForStatus(scene.sink, wamid, 'failed');
  const told = statusesOf(scene.sink, wamid);
  expect(told).toHaveLength(1);
  const { id: _, timestamp: __, recipient_id, recipient_user_id, ...rest } = told[0]!;
  expect(recipient_id).toMatch(/^49\d+$/);
  expect(recipient_user_id).toMatch(/^DE\./);
  return rest;
}

const undeliverable = {
  status: 'failed',
  recipient_type: 'individual',
  errors: [
    {
      code: 131026,
      title: 'Message undeliverable',
      message: 'Message undeliverable',
      error_data: {
        details:
          'The message could not be delivered. The recipient may not use Siegel, may have no device, ' +
          'or may not wish to receive messages from this business. Check the number; do not send ' +
          'again without a new reason.',
      },
    },
  ],
};

beforeAll(async () => {
  scene = await airlineTown();
  system = airlineSystem(scene.firm);
  passenger = await scene.newcomer();
});
afterAll(() => scene?.[Symbol.asyncDispose]());

test('before the block the firm reaches the person, and the person has opened the window', async () => {
  await system.sendFlightUpdate({ to: passenger.number, ...change('A1') });
  hello = await passenger.waitFor(shows(words('A1')));
  await passenger.sendText({ conversationId: hello.conversationId }, 'Danke!');
  await waitForText(scene.sink, 'Danke!');
});

test('after the block a template and a free text both end as failed, 131026, in one text', async () => {
  await passenger.account.block(hello.sender.accountId);
  const template = await system.sendFlightUpdate({ to: passenger.number, ...change('A2') });
  const text = await system.sendText(passenger.number, 'Wir vermissen Sie.');
  refused.push(template, text);
  expect(await failureOf(template)).toEqual(undeliverable);
  expect(await failureOf(text)).toEqual(undeliverable);
});

test('a template to a number nobody has is answered with the same words, at once and by webhook', async () => {
  const one = await system.sendFlightUpdate({ to: scene.freeNumber(), ...change('A2') });
  const [there] = refused;
  expect(Object.keys(one)).toEqual(Object.keys(there!));
  expect(one.userId).toHaveLength(there!.userId!.length);
  expect(one.wamid).toHaveLength(there!.wamid.length);
  expect(await failureOf(one)).toEqual(undeliverable);
});

test('a first free text finds nothing out: nobody, a stranger and one who blocks answer alike', async () => {
  const [stranger, blocker] = [await scene.newcomer(), await scene.newcomer()];
  await blocker.account.lookUp(PhoneNumber.parse(scene.firm.number));
  await blocker.account.block(hello.sender.accountId);
  const failures = [];
  for (const to of [scene.freeNumber(), stranger.number, blocker.number]) {
    failures.push(await failureOf(await system.sendText(to, 'Kennen wir uns?')));
  }
  expect(failures[0]).toMatchObject({ status: 'failed', errors: [{ code: 131047 }] });
  expect(failures).toEqual([failures[0], failures[0], failures[0]]);
  const update = await system.sendFlightUpdate({ to: blocker.number, ...change('A2') });
  expect(await failureOf(update)).toEqual(undeliverable);
  expect([...stranger.received, ...blocker.received]).toEqual([]);
});

test('nothing of it shows at the person', async () => {
  await passenger.account.settled();
  expect(passenger.received.map(shownText)).toEqual([words('A1')]);
  const kept = await passenger.account.messages(hello.conversationId, { limit: 100 });
  expect(kept.map(({ own }) => own)).toEqual([true, false]);
});

test('after the block is lifted everything works again, and what was refused stays refused', async () => {
  await passenger.account.unblock(hello.sender.accountId);
  const again = await system.sendFlightUpdate({ to: passenger.number, ...change('A3') });
  const shown = await passenger.waitFor(shows(words('A3')));
  expect(shown.conversationId).toBe(hello.conversationId);
  await waitForStatus(scene.sink, again.wamid, 'delivered');
  await passenger.sendText({ conversationId: hello.conversationId }, 'Da bin ich wieder.');
  await waitForText(scene.sink, 'Da bin ich wieder.');
  const text = await system.sendText(passenger.number, 'Schön.');
  await passenger.waitFor(shows('Schön.'));
  await waitForStatus(scene.sink, text.wamid, 'delivered');
  // Delivery is in order: what had been held back would have come before these.
  expect(passenger.received.map(shownText)).toEqual([words('A1'), words('A3'), 'Schön.']);
  for (const { wamid } of refused) {
    expect(statusesOf(scene.sink, wamid).map(({ status }) => status)).toEqual(['failed']);
  }
});
