// Story (f): a second device, linked by code, takes part until the first removes it. After that it opens nothing: not what is
// sealed afterwards, and not what the firm sealed in the old epoch and submits too late.
import {
  continueDeviceLink,
  continueJoining,
  joinDeviceLink,
  openDeviceLink,
  type ReceivedMessage,
  readIdentity,
  type Store,
} from '@siegel/client';
import { connectToRelay, createMemoryStore, openNodeDevice } from '@siegel/client/node';
import { createEngine, type Engine, type Opened } from '@siegel/crypto';
import { nodeProvider } from '@siegel/crypto/node';
import { type Gateway, startGateway } from '@siegel/gateway';
import type { ConversationId } from '@siegel/protocol/ids';
import { type DeliveredMessage, getConversation } from '@siegel/protocol/relay';
import { type Person, person } from '@siegel/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AirlineSystem, airlineSystem } from './airline-system.ts';
import { type AirlineTown, airlineTown } from './airline-town.ts';
import {
  type Captured,
  gatewayConfig,
  headerOf,
  type OperatorHands,
  operatorHands,
  sessionOf,
} from './operator-hands.ts';
import { type OperatorLine, operatorLine } from './operator-line.ts';
import { waitForStatus, waitForText } from './read-webhook.ts';
import { shownText, shows } from './shown-text.ts';

let scene: AirlineTown;
let system: AirlineSystem;
let hands: OperatorHands;
let firmLine: OperatorLine;
let phoneLine: OperatorLine;
let gateway: Gateway;
let engine: Engine;
let phone: Person;
let laptop: Person;
let number: string;
let conversationId: ConversationId;
let hello: ReceivedMessage;
const phoneStore = createMemoryStore();
const laptopStore = createMemoryStore();

async function openPerson(relay: string, store: Store<undefined>): Promise<Person> {
  return person({ relay, smsInbox: scene.town.file.smsInbox, number, store });
}

async function stateNow() {
  const { deviceToken: token } = (await readIdentity(phoneStore))!;
  const relay = connectToRelay({ url: scene.town.file.relay, token });
  try {
    const answer = await relay.call(getConversation, { conversationId });
    if (answer.outcome !== 'conversation') throw new Error(answer.outcome);
    return answer.state;
  } finally {
    await relay.close();
  }
}

/** What the removed device can make of a ciphertext, were it handed over by whoever has it. */
async function openedByLaptop(
  item: Captured,
  sender: DeliveredMessage['sender'],
): Promise<Opened['outcome']> {
  const session = await sessionOf(engine, laptopStore, conversationId);
  const opened = await engine.open(session, {
    mls: Buffer.from(item.mls, 'base64url'),
    header: headerOf(item),
    epoch: item.epoch,
    sender,
    now: hello.acceptedAt,
  });
  return opened.outcome;
}

beforeAll(async () => {
  scene = await airlineTown();
  system = airlineSystem(scene.firm);
  hands = await operatorHands(scene.town);
  engine = createEngine(await nodeProvider());
  number = scene.freeNumber();
  phoneLine = await operatorLine(scene.town.file.relay);
  firmLine = await operatorLine(scene.town.file.relay);
  // The airline's own gateway, on its own database, but over a line that can hold it back.
  await scene.town.halt('gateway-nordwind-air');
  gateway = await startGateway(gatewayConfig(scene.town, scene.firm, firmLine.url));
});
afterAll(async () => {
  await laptop?.close();
  await phone?.close();
  await gateway?.close();
  await firmLine?.[Symbol.asyncDispose]();
  await phoneLine?.[Symbol.asyncDispose]();
  await hands?.[Symbol.asyncDispose]();
  await scene?.[Symbol.asyncDispose]();
});

test('a second device is linked by the code that the first shows, and enters the chat', async () => {
  phone = await openPerson(phoneLine.url, phoneStore);
  await phone.sendTextToNumber(scene.firm.number, 'Guten Tag!');
  await waitForText(scene.sink, 'Guten Tag!');
  await system.sendText(number, 'Willkommen!');
  hello = await phone.waitFor(shows('Willkommen!'));
  conversationId = hello.conversationId;

  const identity = (await readIdentity(phoneStore))!;
  const url = scene.town.file.relay;
  const first = await openNodeDevice({ url, store: phoneStore, token: identity.deviceToken });
  const second = await openNodeDevice({ url, store: laptopStore });
  const link = await openDeviceLink(first, identity);
  if (link.outcome !== 'opened') throw new Error(link.outcome);
  await joinDeviceLink(second, link.code);
  expect(await continueDeviceLink(first, identity)).toMatchObject({ outcome: 'linked' });
  expect(await continueJoining(second)).toMatchObject({ outcome: 'linked' });
  await Promise.all([first.connection.close(), second.connection.close()]);

  laptop = await openPerson(url, laptopStore);
  expect(laptop.account.accountId).toBe(phone.account.accountId);
  await laptop.account.joinAllConversations();
  await expect.poll(async () => (await stateNow()).roster.length, { timeout: 30_000 }).toBe(3);
});

test('both receive what the firm sends, and each what the other writes', async () => {
  // What is sealed before its commit arrived is not for the new device: the firm has met it now.
  await expect
    .poll(() => firmLine.seen.some((item) => item.type === 'commit' && item.form === 'external'), {
      timeout: 30_000,
    })
    .toBe(true);
  const { wamid } = await system.sendText(number, 'Für beide Geräte.');
  await Promise.all([phone, laptop].map((one) => one.waitFor(shows('Für beide Geräte.'))));
  await waitForStatus(scene.sink, wamid, 'delivered');
  await phone.sendText({ conversationId }, 'Vom Telefon.');
  await waitForText(scene.sink, 'Vom Telefon.');
  expect(await laptop.waitFor(shows('Vom Telefon.'))).toMatchObject({ own: true });
  await laptop.sendText({ conversationId }, 'Vom Laptop.');
  await waitForText(scene.sink, 'Vom Laptop.');
  expect(await phone.waitFor(shows('Vom Laptop.'))).toMatchObject({ own: true });
  await Promise.all([phone.account.settled(), laptop.account.settled()]);
  const before = await laptop.account.messages(conversationId, { limit: 100 });
  // The end of the past: nothing sealed before it came is kept there.
  expect(before).toHaveLength(3);
});

let racing: Captured;
let epochBefore: number;
let refusals: unknown[];
let shownBefore: readonly string[];

test('a racing sender seals in the old epoch: refused, sealed again, and shown to the first', async () => {
  epochBefore = (await stateNow()).epoch;
  const asked = firmLine.calls.length;
  let release: () => void = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let first: Captured | undefined;
  firmLine.rule({
    async before({ method, path, body }) {
      if (method !== 'POST' || !path.endsWith('/messages')) return;
      const submitted = body as Captured;
      if (submitted.class === 'message') first ??= { ...submitted, conversationId };
      await held;
    },
    // Nor does the firm hear of the removal before it has submitted.
    deliver: (items) => (first === undefined ? items : []),
  });
  const { wamid } = await system.sendText(number, 'Um ein Haar zu spät.');
  await expect.poll(() => first, { timeout: 20_000 }).toBeDefined();
  racing = first!;
  expect(racing.epoch).toBe(epochBefore);
  shownBefore = laptop.received.map(shownText);

  await phone.account.removeDevice(laptop.account.deviceId);
  await expect.poll(async () => (await stateNow()).roster.length, { timeout: 30_000 }).toBe(2);
  release();
  firmLine.rule({});
  firmLine.cut();

  await phone.waitFor(shows('Um ein Haar zu spät.'), { timeoutMs: 60_000 });
  await waitForStatus(scene.sink, wamid, 'delivered');
  const submits = firmLine.calls
    .slice(asked)
    .filter(({ method, path }) => method === 'POST' && path.endsWith('/messages'))
    .filter(({ body }) => (body as Captured).clientId === racing.clientId);
  refusals = submits.map(({ answer }) => (answer as { outcome: string }).outcome);
  expect(refusals[0]).toMatch(/^(stale-epoch|removal-required)$/);
  expect(refusals.at(-1)).toBe('accepted');
  const last = submits.at(-1)!.body as Captured;
  expect(last.epoch).toBeGreaterThan(epochBefore);
  expect(last.mls).not.toBe(racing.mls);
  const seen = phone.received.filter(shows('Um ein Haar zu spät.'));
  expect(seen).toHaveLength(1);
});

test('what was sealed in the old epoch went to nobody, and lies nowhere at the relay', async () => {
  // The race is real: handed over by somebody, this one ciphertext would have opened.
  const sender = { accountId: hello.sender.accountId, deviceId: hello.sender.deviceId };
  expect(await openedByLaptop(racing, sender)).toBe('opened');
  for (const table of ['log', 'mailbox_items']) {
    const rows = await hands.query(`SELECT 1 FROM ${table} WHERE item LIKE $1`, [
      `%${racing.mls}%`,
    ]);
    expect(rows).toEqual([]);
  }
  expect(phoneLine.seen.some((item) => item.mls === racing.mls)).toBe(false);
});

test('what is sent after the removal reaches the first alone, and the other cannot open it', async () => {
  const from = phoneLine.seen.length;
  await system.sendText(number, 'Nur noch für das Telefon.');
  await phone.waitFor(shows('Nur noch für das Telefon.'));
  await phone.sendText({ conversationId }, 'Und zurück.');
  await waitForText(scene.sink, 'Und zurück.');
  await system.sendText(number, 'Das war es.');
  await phone.waitFor(shows('Das war es.'));
  const after = phoneLine.seen
    .slice(from)
    .filter((item) => item.type === 'message')
    .filter((item) => item.class === 'message');
  expect(after.length).toBeGreaterThanOrEqual(2);
  for (const item of after) {
    expect(item.epoch).toBeGreaterThan(epochBefore);
    expect(await openedByLaptop(item, item.sender)).toBe('refused');
  }
  expect(laptop.received.map(shownText)).toEqual(shownBefore);
});

test('nothing lies in its mailbox, its token is worth nothing, and the past stays readable', async () => {
  const { accountId, deviceId } = laptop.account;
  const waiting = await hands.query(
    'SELECT 1 FROM mailbox_items WHERE account_id = $1 AND device_id = $2',
    [accountId, deviceId],
  );
  expect(waiting).toEqual([]);
  const { deviceToken: token } = (await readIdentity(laptopStore))!;
  const relay = connectToRelay({ url: scene.town.file.relay, token });
  await expect(relay.call(getConversation, { conversationId })).rejects.toMatchObject({
    code: 'unauthenticated',
  });
  await relay.close();
  const kept = await laptop.account.messages(conversationId, { limit: 100 });
  expect(kept).toHaveLength(3);
  expect((await stateNow()).revoked).toEqual([]);
});

test('opened again, the removed device still gets nothing', async () => {
  await laptop.close();
  laptop = await openPerson(scene.town.file.relay, laptopStore);
  await system.sendText(number, 'Noch etwas.');
  await phone.waitFor(shows('Noch etwas.'));
  expect(laptop.received).toEqual([]);
  expect((await stateNow()).roster).toHaveLength(2);
});
