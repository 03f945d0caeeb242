// Story (h): a person whom the firm never wrote to finds it by its number and writes first; also when the firm has no one-time
// key package left.
import { nodeEnvironment } from '@siegel/client/node';
import { type AccountId, NumericId, PhoneNumber } from '@siegel/protocol/ids';
import { openConversation } from '@siegel/protocol/relay';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AirlineSystem, airlineSystem } from './airline-system.ts';
import { type AirlineTown, airlineTown, type Passenger } from './airline-town.ts';
import { messageOf, readWebhook, waitForStatus, waitForText } from './read-webhook.ts';
import { type RelayDatabase, relayDatabase } from './relay-database.ts';
import { shownText, shows } from './shown-text.ts';

let scene: AirlineTown;
let system: AirlineSystem;
let database: RelayDatabase;
let firmId: AccountId;
let phoneNumberId: NumericId;

beforeAll(async () => {
  scene = await airlineTown();
  system = airlineSystem(scene.firm);
  database = await relayDatabase(scene.town);
  phoneNumberId = NumericId.parse(scene.firm.phoneNumberId);
});
afterAll(async () => {
  await database?.[Symbol.asyncDispose]();
  await scene?.[Symbol.asyncDispose]();
});

/** The webhook of a first message, the firm's free text in answer, and the person who reads it. */
async function expectTalk(passenger: Passenger, asked: string): Promise<void> {
  const record = await waitForText(scene.sink, asked);
  expect(record.signed).toBe(true);
  const { user_id: userId, wa_id: waId } = readWebhook(record).contacts![0]!;
  expect(userId).toMatch(/^DE\./);
  expect(messageOf(record)).toMatchObject({ type: 'text', from_user_id: userId });
  // The firm never knew the number and the person did not send it (design §2).
  expect(waId).toBeUndefined();
  expect(record.bytes.includes(passenger.number.slice(1))).toBe(false);
  const answer = `Antwort auf: ${asked}`;
  const { wamid } = await system.sendTextToUser(userId!, answer);
  await passenger.waitFor(shows(answer));
  await waitForStatus(scene.sink, wamid, 'delivered');
  expect(passenger.received.map(shownText)).toEqual([answer]);
}

describe('a person whom the firm never wrote to', () => {
  let passenger: Passenger;
  const asked = 'Guten Tag, fliegen Sie auch nach Oslo?';

  test('finds the firm by its number, certified', async () => {
    passenger = await scene.newcomer();
    const found = await passenger.account.lookUp(PhoneNumber.parse(scene.firm.number));
    expect(found).toMatchObject({
      outcome: 'business',
      phoneNumberId: scene.firm.phoneNumberId,
      contact: { certificate: { displayName: 'Nordwind Air', number: scene.firm.number } },
    });
    if (found.outcome === 'business') firmId = found.contact.accountId;
    const unknown = await passenger.account.lookUp(PhoneNumber.parse(scene.freeNumber()));
    expect(unknown.outcome).toBe('not-found');
  });

  test('writes first: the gateway joins, the webhook arrives, a free text comes back', async () => {
    const clientId = await passenger.sendTextToNumber(scene.firm.number, asked);
    await expectTalk(passenger, asked);
    await passenger.waitForStatus(clientId, 'delivered');
  });

  test('used up one one-time key package of the firm', async () => {
    const left = await database.oneTimeKeyPackages(firmId);
    expect(left).toBe(199);
  });
});

describe('when many have begun a chat while the gateway was away', () => {
  const gateway = 'gateway-nordwind-air';
  const hourMs = 60 * 60 * 1000;
  let late: Passenger[];
  let lastResort: string[];

  /** Begins and never goes on: each time one of the firm's key packages is spent. */
  async function begin({ relay }: Passenger): Promise<'one-time' | 'last-resort' | 'refused'> {
    const answer = await relay.call(openConversation, {
      with: { kind: 'business', phoneNumberId },
    });
    if (answer.outcome === 'rate-limited') return 'refused';
    if (answer.outcome !== 'to-found') throw new Error(answer.outcome);
    const firm = answer.members.find(({ accountId }) => accountId === firmId)!;
    return firm.keyPackages.every((one) => one.lastResort) ? 'last-resort' : 'one-time';
  }

  test('the relay gives one-time packages only so many an hour, then the last resort', async () => {
    await scene.town.halt(gateway);
    // The relay counts by the hour of its clock: the change of the hour must not come in between.
    await expect
      .poll(() => nodeEnvironment.now() % hourMs, { timeout: 70_000 })
      .toBeLessThan(hourMs - 60_000);
    const before = await database.oneTimeKeyPackages(firmId);
    let given: Awaited<ReturnType<typeof begin>> = 'one-time';
    for (let people = 0; people < 20 && given !== 'last-resort'; people += 1) {
      const visitor = await scene.newcomer();
      do {
        given = await begin(visitor);
      } while (given === 'one-time');
    }
    expect(given).toBe('last-resort');
    expect(await database.oneTimeKeyPackages(firmId)).toBeLessThan(before);
    expect(await database.oneTimeKeyPackages(firmId)).toBeGreaterThan(0);
  });

  test('hours later none is left but the last resort', async () => {
    for (let people = 0; people < 40; people += 1) {
      if ((await database.oneTimeKeyPackages(firmId)) === 0) break;
      await database.forgetClaims();
      const visitor = await scene.newcomer();
      while ((await begin(visitor)) === 'one-time');
    }
    expect(await database.oneTimeKeyPackages(firmId)).toBe(0);
    lastResort = await database.lastResortKeyPackages(firmId);
    expect(lastResort).toHaveLength(1);
  });

  test('persons who write first now are accepted, and wait', async () => {
    late = [];
    for (let index = 0; index < 3; index += 1) {
      const passenger = await scene.newcomer();
      late.push(passenger);
      const clientId = await passenger.sendTextToNumber(scene.firm.number, `Frage ${index}`);
      await passenger.waitForStatus(clientId, 'sent');
    }
    expect(await database.oneTimeKeyPackages(firmId)).toBe(0);
    expect(await database.lastResortKeyPackages(firmId)).toEqual(lastResort);
  });

  test('the gateway comes back, joins them all, and each gets its own answer', async () => {
    await scene.town.start(gateway);
    for (const [index, passenger] of late.entries()) {
      await expectTalk(passenger, `Frage ${index}`);
    }
    const users = late.map((_, index) =>
      scene.sink.received.map(messageOf).find((one) => one?.text?.body === `Frage ${index}`),
    );
    expect(new Set(users.map((one) => one?.from_user_id)).size).toBe(late.length);
  });

  test('the firm has a full supply again, and another last resort', async () => {
    await expect
      .poll(() => database.oneTimeKeyPackages(firmId), { timeout: 30_000 })
      .toBeGreaterThan(100);
    await expect
      .poll(() => database.lastResortKeyPackages(firmId), { timeout: 30_000 })
      .not.toEqual(lastResort);
    await database.forgetClaims();
    const next = await scene.newcomer();
    await next.sendTextToNumber(scene.firm.number, 'Und ich?');
    await expectTalk(next, 'Und ich?');
  });
});
