// Mailboxes: delivery from the oldest unacknowledged item, in order, held back, until acknowledged (rules M1 to M5, M7).

import { bucketOf, type ConversationId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { MailboxHub } from '../src/hot-path.ts';
import { createMailboxHub } from '../src/mailbox/mailbox-hub.ts';
import { createMailboxStore } from '../src/mailbox/mailbox-store.ts';
import { createWakeups, type Wakeups } from '../src/mailbox/wakeups.ts';
import { caughtUp, connect as connectTo, type FakeSocket, until } from './fake-socket.ts';
import { bytes, createWorld, type Device, type TestAccount, type World } from './hot-path-world.ts';

let world: World;
let wakeups: Wakeups;
beforeAll(async () => {
  wakeups = createWakeups();
  world = await createWorld({ wakeups });
});
afterAll(() => world.close());
beforeEach(() => {
  world.clock.now += 3_600_000;
});

const first = ({ devices }: TestAccount): Device => devices[0]!;

const connect = (device: Device, hub: Pick<MailboxHub, 'acceptSocket'> = world.hotPath.hub) =>
  connectTo(device, hub);

async function chat(devices = 1) {
  const [anna, ben] = [await world.addPerson(), await world.addPerson(devices)];
  const { conversationId } = await world.found(first(anna), {
    kind: 'direct',
    accountId: ben.accountId,
  });
  await world.hotPath.copier.settled();
  return { anna, ben, conversationId };
}

async function sendMany(device: Device, conversationId: ConversationId, count: number) {
  for (let sent = 0; sent < count; sent += 1) {
    const answer = await world.send(device, conversationId, { mls: bytes(40) });
    expect(answer.outcome).toBe('accepted');
  }
  await world.hotPath.copier.settled();
}

const positions = (socket: FakeSocket) => socket.items.map(({ position }) => position);
const sequences = (socket: FakeSocket) => socket.items.map(({ sequence }) => sequence);
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

test('M1 Items reach a connected device as they are accepted, once and in order', async () => {
  const { anna, ben, conversationId } = await chat();
  await world.hotPath.copier.settled();
  const socket = connect(first(ben));
  await caughtUp(socket);
  expect(socket.frames[0]).toEqual({ type: 'ready', accountId: ben.accountId, waiting: 1 });
  await sendMany(first(anna), conversationId, 20);
  await until(() => expect(socket.items).toHaveLength(21));
  expect(sequences(socket)).toEqual(upTo(21));
  expect(positions(socket)).toEqual(upTo(21));
});

test('M2 M3 What is not acknowledged comes again after a reconnect, the rest does not', async () => {
  const { anna, ben, conversationId } = await chat();
  await sendMany(first(anna), conversationId, 9);
  const before = connect(first(ben));
  await until(() => expect(before.items).toHaveLength(10));
  before.acknowledge(4);
  await until(async () => expect(await world.mailbox(first(ben))).toHaveLength(6));
  before.close(1000, 'lost');
  const after = connect(first(ben));
  await caughtUp(after);
  expect(after.frames[0]).toMatchObject({ type: 'ready', waiting: 6 });
  expect(positions(after)).toEqual([5, 6, 7, 8, 9, 10]);
});

test('M2 Acknowledging a position that never was removes only what was there', async () => {
  const { anna, ben, conversationId } = await chat();
  const socket = connect(first(ben));
  await caughtUp(socket);
  socket.acknowledge(1_000_000);
  await until(async () => expect(await world.mailbox(first(ben))).toHaveLength(0));
  await sendMany(first(anna), conversationId, 3);
  const again = connect(first(ben));
  await until(() => expect(again.items).toHaveLength(3));
});

test('M2 An item expires after 30 days, and is not delivered then', async () => {
  const { anna, ben, conversationId } = await chat();
  await sendMany(first(anna), conversationId, 1);
  world.clock.now += limits.mailboxRetentionDays * 86_400_000 - 1;
  await sendMany(first(anna), conversationId, 1);
  world.clock.now += 1;
  const socket = connect(first(ben));
  await caughtUp(socket);
  expect(sequences(socket)).toEqual([3]);
  const store = createMailboxStore({ database: world.database, now: () => world.clock.now });
  await store.sweep(bucketOf(ben.accountId));
  expect((await world.mailbox(first(ben))).map(({ sequence }) => sequence)).toEqual([3]);
});

/** As if so many items more waited, or the items waiting had so many octets: it is counted when the next one comes. */
const pretend = (account: TestAccount, column: 'waiting_items' | 'waiting_bytes', value: number) =>
  world.database.query(
    `UPDATE mailboxes SET ${column} = $3 WHERE bucket = $1 AND account_id = $2`,
    [bucketOf(account.accountId), account.accountId, value],
  );

test('M2 Who fills a mailbox ends its own oldest items, and nobody else’s', async () => {
  const { anna, ben, conversationId } = await chat();
  await sendMany(first(anna), conversationId, 3);
  const stranger = await world.addPerson();
  const flood = await world.found(first(stranger), { kind: 'direct', accountId: ben.accountId });
  const own = (await world.mailbox(first(ben))).filter((i) => i.conversationId === conversationId);
  await fillMailbox(first(ben), flood.conversationId, limits.mailboxItemsMax);
  await pretend(ben, 'waiting_items', limits.mailboxItemsMax);
  await sendMany(first(stranger), flood.conversationId, 1);
  const left = await world.mailbox(first(ben));
  expect(left).toHaveLength(limits.mailboxItemsMax * 0.99);
  expect(left.filter((item) => item.conversationId === conversationId)).toEqual(own);
  // Its newest item is there; what ended is its oldest.
  expect(left.at(-1)).toMatchObject({ conversationId: flood.conversationId, type: 'message' });
});

test('M2 A counter at the bound of a mailbox that is not full ends nothing', async () => {
  const { anna, ben, conversationId } = await chat();
  await sendMany(first(anna), conversationId, 2);
  const before = await world.mailbox(first(ben));
  await pretend(ben, 'waiting_items', limits.mailboxItemsMax);
  await sendMany(first(anna), conversationId, 1);
  expect((await world.mailbox(first(ben))).slice(0, -1)).toEqual(before);
  await pretend(ben, 'waiting_bytes', limits.mailboxBytesMax);
  await sendMany(first(anna), conversationId, 1);
  expect((await world.mailbox(first(ben))).slice(0, before.length)).toEqual(before);
});

test('M2 Octets are bounded too: large items end before many small ones of others', async () => {
  const { anna, ben, conversationId } = await chat();
  await sendMany(first(anna), conversationId, 8);
  const stranger = await world.addPerson();
  const flood = await world.found(first(stranger), { kind: 'direct', accountId: ben.accountId });
  const large = () => world.send(first(stranger), flood.conversationId, { mls: bytes(100_000) });
  for (let sent = 0; sent < 4; sent += 1) await large();
  const of = (items: readonly { conversationId: string }[], id: string) =>
    items.filter((item) => item.conversationId === id);
  const before = await world.mailbox(first(ben));
  await world.database.query('SELECT shed_mailbox($1, $2, $3::smallint, 10000, 300000)', [
    bucketOf(ben.accountId),
    ben.accountId,
    first(ben).deviceId,
  ]);
  const left = await world.mailbox(first(ben));
  expect(of(left, conversationId)).toEqual(of(before, conversationId));
  expect(of(left, flood.conversationId)).toEqual(of(before, flood.conversationId).slice(-2));
});

test('M4 At most 128 items are in flight, and acknowledging lets more go', async () => {
  const { anna, ben, conversationId } = await chat();
  await world.hotPath.copier.settled();
  await fillMailbox(first(ben), conversationId, 299);
  const socket = connect(first(ben));
  await until(() => expect(socket.items).toHaveLength(limits.socketItemsInFlight));
  await sendMany(first(anna), conversationId, 1);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(socket.items).toHaveLength(limits.socketItemsInFlight);
  expect(socket.types).not.toContain('caught-up');
  socket.acknowledge(100);
  await until(() => expect(socket.items).toHaveLength(limits.socketItemsInFlight + 100));
  socket.acknowledge(228);
  await caughtUp(socket);
  expect(positions(socket)).toEqual(upTo(301));
});

/** Copies of the device's last item, as if so many more had come. */
async function fillMailbox(device: Device, conversationId: ConversationId, count: number) {
  await world.database.query(
    `INSERT INTO mailbox_items SELECT bucket, account_id, device_id, position + extra, $4,
       sequence, item, metered, expires_at
     FROM (SELECT * FROM mailbox_items WHERE bucket = $1 AND account_id = $2 AND device_id = $3
       ORDER BY position DESC LIMIT 1) AS last, generate_series(1, $5) AS extra`,
    [bucketOf(device.accountId), device.accountId, device.deviceId, conversationId, count],
  );
  await world.database.query(
    `UPDATE mailboxes SET next_position = next_position + $4
     WHERE bucket = $1 AND account_id = $2 AND device_id = $3`,
    [bucketOf(device.accountId), device.accountId, device.deviceId, count],
  );
}

test('M4 Large items travel in frames of their own, and nothing is lost', async () => {
  const { anna, ben, conversationId } = await chat();
  for (let sent = 0; sent < 12; sent += 1) {
    await world.send(first(anna), conversationId, { mls: bytes(limits.sealedBytesMax) });
  }
  await world.hotPath.copier.settled();
  const socket = connect(first(ben));
  await caughtUp(socket);
  expect(sequences(socket)).toEqual(upTo(13));
});

test('M4 Nothing more is sent while the network takes nothing; who never takes is sent away', async () => {
  const { anna, ben, conversationId } = await chat();
  const store = createMailboxStore({ database: world.database, now: () => world.clock.now });
  const hub = createMailboxHub({
    authenticate: world.ports.authenticate,
    store,
    wakeups,
    random: world.ports.random,
    contactsOf: async function* () {},
    failed: (failure) => world.failures.push(failure),
    settings: { stalledMs: 300, bufferedBytesMax: 10 },
  });
  const socket = connect(first(ben), hub);
  await caughtUp(socket);
  socket.buffered = 11;
  await sendMany(first(anna), conversationId, 2);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(socket.items).toHaveLength(1);
  socket.buffered = 0;
  await until(() => expect(socket.items).toHaveLength(3));
  socket.buffered = 11;
  await sendMany(first(anna), conversationId, 1);
  await until(() => expect(socket.closed).toMatchObject({ reason: 'too-slow' }));
  expect(socket.frames.at(-1)).toEqual({ type: 'bye', reason: 'too-slow' });
  await hub.close();
});

test('M5 The first acknowledgement by a device of the person is noted once', async () => {
  const [person, firm] = [await world.addPerson(2), await world.addBusiness(2)];
  const { conversationId } = await world.found(first(person), {
    kind: 'business',
    phoneNumberId: firm.phoneNumberId,
  });
  await world.send(first(person), conversationId);
  await world.send(first(firm), conversationId);
  const deliveredAt = async () =>
    (
      await world.database.query<{ delivered_at: number | null }>(
        'SELECT delivered_at FROM meter WHERE bucket = $1 AND conversation_id = $2',
        [bucketOf(conversationId), conversationId],
      )
    ).rows.map(({ delivered_at }) => delivered_at);
  const acknowledge = async (device: Device, count: number) => {
    const socket = connect(device);
    await until(() => expect(socket.items.length).toBeGreaterThanOrEqual(count));
    socket.acknowledge(socket.items.at(-1)!.position);
    await until(async () => expect(await world.mailbox(device)).toHaveLength(0));
  };
  // The firm's other device has it too; that is no delivery.
  await acknowledge(firm.devices[1]!, 3);
  expect(await deliveredAt()).toEqual([null]);
  const at = world.clock.now;
  await acknowledge(first(person), 1);
  expect(await deliveredAt()).toEqual([at]);
  world.clock.now += 60_000;
  await acknowledge(person.devices[1]!, 3);
  expect(await deliveredAt()).toEqual([at]);
});

test('M7 Typing ends after 30 seconds and is not kept for absent devices', async () => {
  const alone = await createWorld();
  try {
    const [anna, ben] = [await alone.addPerson(), await alone.addPerson(2)];
    const { conversationId } = await alone.found(first(anna), {
      kind: 'direct',
      accountId: ben.accountId,
    });
    await alone.hotPath.copier.settled();
    const socket = connect(first(ben), alone.hotPath.hub);
    await caughtUp(socket);
    const typing = { class: 'control', kind: 'typing' } as const;
    await alone.send(first(anna), conversationId, typing);
    await until(() => expect(socket.items).toHaveLength(2));
    expect(await alone.mailbox(ben.devices[1]!)).toHaveLength(1);
    socket.close(1000, 'gone');
    await alone.send(first(anna), conversationId, typing);
    expect(await alone.mailbox(first(ben))).toHaveLength(2);
    alone.clock.now += limits.typingSecondsMax * 1000;
    const later = connect(first(ben), alone.hotPath.hub);
    await caughtUp(later);
    expect(later.items.map(({ type }) => type)).toEqual(['welcome']);
  } finally {
    await alone.close();
  }
});

test('M1 A lost wake-up costs latency only', async () => {
  const { anna, ben, conversationId } = await chat();
  const hub = createMailboxHub({
    authenticate: world.ports.authenticate,
    store: createMailboxStore({ database: world.database, now: () => world.clock.now }),
    wakeups: createWakeups(),
    random: world.ports.random,
    contactsOf: async function* () {},
    failed: (failure) => world.failures.push(failure),
    settings: { pollMs: 100 },
  });
  const socket = connect(first(ben), hub);
  await caughtUp(socket);
  await sendMany(first(anna), conversationId, 2);
  await until(() => expect(socket.items).toHaveLength(3));
  await hub.close();
});

test('M1 M2 M3 However a device acknowledges and reconnects, it stores each item once in order', async () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('send' as const) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('acknowledge' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('reconnect' as const) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      world.clock.now += 3_600_000;
      const { anna, ben, conversationId } = await chat();
      const stored: number[] = [];
      let socket = connect(first(ben));
      let sent = 1;
      // The device stores before it acknowledges, and knows positions it has stored.
      const store = () => {
        for (const { position } of socket.items) {
          if (position > (stored.at(-1) ?? 0)) stored.push(position);
        }
      };
      for (const one of steps) {
        if (one.do === 'send') {
          await world.send(first(anna), conversationId, { mls: bytes(20) });
          sent += 1;
        } else if (one.do === 'acknowledge') {
          store();
          if (stored.length > 0) socket.acknowledge(stored.at(-1)!);
        } else {
          socket.close(1000, 'lost');
          socket = connect(first(ben));
        }
      }
      await until(() => {
        store();
        expect(stored).toEqual(upTo(sent));
      });
      const seen = positions(socket);
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
      socket.acknowledge(sent);
      await until(async () => expect(await world.mailbox(first(ben))).toEqual([]));
      socket.close(1000, 'done');
    }),
    { numRuns: 15 },
  );
});
