// The mailbox socket against real WebSockets: order, acknowledgement after storing, every way to break, and the end for good.

import { AccountId, ClientId, ConversationId, DeviceId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { DeliveredItem, RelayFrame } from '@siegel/protocol/relay';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { connectionLimits } from '../src/connection/connection-limits.ts';
import { nodeNetwork } from '../src/connection/node-network.ts';
import {
  createRelayConnection,
  type Mailbox,
  type MailboxEvent,
  type RelayConnection,
} from '../src/relay-connection.ts';
import { type ContractServer, startContractServer } from './contract-server.ts';
import { createTestClock, type TestClock, until } from './test-clock.ts';

const token = 'A'.repeat(43);
const accountId = AccountId.parse('00000000-2222-4333-8444-555555555555');

const item = (position: number): DeliveredItem => ({
  type: 'message',
  position,
  conversationId: ConversationId.parse('11111111-2222-4333-8444-555555555555'),
  sequence: position,
  generation: 0,
  epoch: 1,
  sender: { accountId, deviceId: DeviceId.parse(1) },
  clientId: ClientId.parse('99999999-2222-4333-8444-555555555555'),
  acceptedAt: 5,
  class: 'message',
  kind: 'free-form',
  commitment: 'c'.repeat(43),
  mls: 'bWxz',
  tag: { keyId: 'k', value: 'v'.repeat(43) },
});

let server: ContractServer;
let clock: TestClock;
let connection: RelayConnection;
let mailbox: Mailbox | undefined;
let events: MailboxEvent[];
/** frames of each socket, in the order of the sockets */
let heard: { type: string; position?: number; token?: string }[][];

beforeEach(async () => {
  server = await startContractServer();
  clock = createTestClock();
  connection = createRelayConnection({ ...clock, ...nodeNetwork, url: server.url, token });
  events = [];
  heard = [];
  server.onSocket = (socket) => {
    const frames: (typeof heard)[number] = [];
    heard.push(frames);
    socket.on('message', (data) => frames.push(JSON.parse(String(data))));
  };
});
afterEach(async () => {
  await connection.close();
  await server.close();
});

const say = (socket: WebSocket | undefined, frame: RelayFrame) =>
  socket?.send(JSON.stringify(frame));

function open(
  onItems: (items: readonly DeliveredItem[]) => Promise<number | undefined> = async (items) =>
    items.at(-1)?.position,
) {
  mailbox = connection.openMailbox({ onItems, onEvent: (event) => events.push(event) });
  return mailbox;
}

const socketNumber = async (count: number): Promise<WebSocket> => {
  await until(
    () => server.sockets.length >= count && (heard[count - 1]?.length ?? 0) > 0,
    `hello on socket ${count}`,
  );
  return server.sockets[count - 1]!;
};
const types = () => events.map((event) => event.type);
const acknowledged = (socket = 0) =>
  heard[socket]?.filter(({ type }) => type === 'acknowledge').map(({ position }) => position) ?? [];
/** Lets the back-off of the newest `offline` pass. */
const passBackOff = async (count: number) => {
  await until(() => types().filter((type) => type === 'offline').length >= count, 'offline');
  const last = events.findLast((event) => event.type === 'offline');
  clock.pass(last?.type === 'offline' ? last.retryInMs : 0);
};

test('the first frame is hello with the token, which stands in no address', async () => {
  open();
  const socket = await socketNumber(1);
  expect(heard[0]?.[0]).toEqual({ type: 'hello', token });
  expect(socket.protocol).toBe('siegel.v1');
  say(socket, { type: 'ready', accountId, waiting: 3 });
  await until(() => events.length === 1, 'online');
  expect(events).toEqual([{ type: 'online', accountId, waiting: 3 }]);
});

test('items come frame after frame and are acknowledged only when they are stored', async () => {
  const order: string[] = [];
  let release: () => void = () => undefined;
  open(async (items) => {
    order.push(`begin ${items[0]?.position}`);
    if (items[0]?.position === 1) {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    }
    order.push(`end ${items[0]?.position}`);
    return items.at(-1)?.position;
  });
  const socket = await socketNumber(1);
  say(socket, { type: 'items', items: [item(1), item(2)] });
  say(socket, { type: 'items', items: [item(3)] });
  say(socket, { type: 'caught-up' });
  await until(() => order.length === 1, 'the first frame is in work');
  expect(acknowledged()).toEqual([]);
  release();
  await until(() => types().includes('caught-up'), 'caught up');
  expect(order).toEqual(['begin 1', 'end 1', 'begin 3', 'end 3']);
  await until(() => acknowledged().length === 2, 'both are acknowledged');
  expect(acknowledged()).toEqual([2, 3]);
});

test('what cannot be stored is not acknowledged and comes again after a back-off', async () => {
  let failing = true;
  const stored: number[] = [];
  open(async (items) => {
    if (failing) throw new Error('disk full');
    stored.push(...items.map(({ position }) => position));
    return items.at(-1)?.position;
  });
  say(await socketNumber(1), { type: 'items', items: [item(1)] });
  await passBackOff(1);
  expect(events[0]).toMatchObject({ type: 'offline', reason: 'not-stored' });
  expect(acknowledged()).toEqual([]);
  failing = false;
  say(await socketNumber(2), { type: 'items', items: [item(1)] });
  await until(() => acknowledged(1).length === 1, 'acknowledged at last');
  expect(stored).toEqual([1]);
});

test('a frame stored after its socket broke is followed in order on the next one', async () => {
  const order: number[] = [];
  let release: () => void = () => undefined;
  open(async (items) => {
    order.push(items[0]!.position);
    if (order.length === 1) {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    }
    order.push(-items[0]!.position);
    return items.at(-1)?.position;
  });
  const first = await socketNumber(1);
  say(first, { type: 'items', items: [item(1)] });
  await until(() => order.length === 1, 'in work');
  first.terminate();
  await passBackOff(1);
  say(await socketNumber(2), { type: 'items', items: [item(1)] });
  await new Promise((resolve) => setImmediate(resolve));
  expect(order).toEqual([1]);
  release();
  await until(() => acknowledged(1).length === 1, 'the second delivery is acknowledged');
  expect(order).toEqual([1, -1, 1, -1]);
});

test('a lost socket comes back, later each time, until something was stored', async () => {
  open();
  const waits: number[] = [];
  for (let count = 1; count <= 4; count += 1) {
    (await socketNumber(count)).terminate();
    await passBackOff(count);
    const last = events.at(-1);
    waits.push(last?.type === 'offline' ? last.retryInMs : -1);
  }
  expect(waits).toEqual(waits.toSorted((a, b) => a - b));
  expect(new Set(waits).size).toBe(4);
  const socket = await socketNumber(5);
  say(socket, { type: 'items', items: [item(1)] });
  await until(() => acknowledged(4).length === 1, 'stored');
  socket.terminate();
  await until(() => types().filter((type) => type === 'offline').length === 5, 'offline');
  expect(events.at(-1)).toMatchObject({ retryInMs: waits[0] });
});

test('a relay that is down is tried again until it is there', async () => {
  await server.kill();
  open();
  await passBackOff(1);
  await passBackOff(2);
  await server.restart();
  await passBackOff(3);
  say(await socketNumber(1), { type: 'ready', accountId, waiting: 0 });
  await until(() => types().includes('online'), 'online');
});

test('retryNow skips the back-off', async () => {
  open();
  (await socketNumber(1)).terminate();
  await until(() => types().includes('offline'), 'offline');
  mailbox?.retryNow();
  await socketNumber(2);
  mailbox?.retryNow();
  expect(server.sockets.length).toBe(2);
});

test.each([
  ['text that is no JSON', 'hallo'],
  ['JSON that is no object', '[1]'],
  ['an object without a type', '{}'],
  ['a known type with wrong fields', '{"type":"items","items":[{"type":"message"}]}'],
  ['a binary frame', Buffer.from('{"type":"caught-up"}')],
])('%s closes the socket and loses no item', async (_name, garbage) => {
  open();
  (await socketNumber(1)).send(garbage);
  await passBackOff(1);
  expect(events[0]).toMatchObject({ type: 'offline', reason: 'frame-refused' });
  say(await socketNumber(2), { type: 'items', items: [item(1)] });
  await until(() => acknowledged(1).length === 1, 'the item arrives');
});

test('frames of a type that a newer relay speaks are ignored', async () => {
  open();
  const socket = await socketNumber(1);
  socket.send('{"type":"weather","sun":true}');
  say(socket, { type: 'caught-up' });
  await until(() => types().includes('caught-up'), 'caught up');
  expect(types()).toEqual(['caught-up']);
});

test('more items than may be in flight close the socket', async () => {
  let release: () => void = () => undefined;
  open(
    () =>
      new Promise((resolve) => {
        release = () => resolve(undefined);
      }),
  );
  const socket = await socketNumber(1);
  const many = Array.from({ length: limits.socketItemsInFlight }, (_, index) => item(index + 1));
  for (let count = 0; count < 3; count += 1) say(socket, { type: 'items', items: many });
  await until(() => types().includes('offline'), 'offline');
  expect(events[0]).toMatchObject({ reason: 'frame-refused' });
  release();
});

test.each(['revoked', 'unauthenticated', 'replaced'] as const)(
  'bye %s ends the mailbox for good',
  async (reason) => {
    open();
    const socket = await socketNumber(1);
    say(socket, { type: 'bye', reason });
    socket.close();
    await until(() => types().includes('ended'), 'ended');
    expect(events).toEqual([{ type: 'ended', reason }]);
    mailbox?.retryNow();
    clock.pass(10 * connectionLimits.socketRetry.maxMs);
    expect(server.sockets.length).toBe(1);
  },
);

test.each(['shutting-down', 'malformed', 'too-slow'] as const)(
  'bye %s is followed by another socket',
  async (reason) => {
    open();
    say(await socketNumber(1), { type: 'bye', reason });
    await passBackOff(1);
    expect(events).toMatchObject([{ type: 'offline', reason }]);
    await socketNumber(2);
  },
);

test('silence is answered with a ping, and silence after it with the end of the socket', async () => {
  open();
  await socketNumber(1);
  clock.pass(connectionLimits.socketQuietMs);
  await until(() => heard[0]?.[1]?.type === 'ping', 'a ping');
  clock.pass(connectionLimits.socketPongMs);
  await until(() => types().includes('offline'), 'offline');
  expect(events[0]).toMatchObject({ reason: 'no-answer' });
});

test('a pong keeps the socket', async () => {
  open();
  const socket = await socketNumber(1);
  clock.pass(connectionLimits.socketQuietMs);
  await until(() => heard[0]?.[1]?.type === 'ping', 'a ping');
  say(socket, { type: 'pong', id: 1 });
  say(socket, { type: 'caught-up' });
  await until(() => types().includes('caught-up'), 'the pong arrived');
  clock.pass(connectionLimits.socketPongMs);
  expect(types()).toEqual(['caught-up']);
});

test('news about devices and key packages are handed on', async () => {
  open();
  const socket = await socketNumber(1);
  say(socket, { type: 'devices-changed', accountId });
  say(socket, { type: 'key-packages-low', left: 4 });
  await until(() => events.length === 2, 'both');
  expect(events).toEqual([
    { type: 'devices-changed', accountId },
    { type: 'key-packages-low', left: 4 },
  ]);
});

test('closing waits for the frame in work and acknowledges nothing afterwards', async () => {
  let release: () => void = () => undefined;
  let began = false;
  let done = false;
  open(async (items) => {
    began = true;
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    done = true;
    return items.at(-1)?.position;
  });
  const socket = await socketNumber(1);
  say(socket, { type: 'items', items: [item(1)] });
  say(socket, { type: 'items', items: [item(2)] });
  await until(() => began, 'in work');
  const closed = mailbox!.close();
  await until(() => socket.readyState === socket.CLOSED, 'the socket is closed');
  expect(done).toBe(false);
  release();
  await closed;
  expect(done).toBe(true);
  expect(acknowledged()).toEqual([]);
  expect(events).toEqual([]);
});

test('a mailbox needs a token, and there is one at a time', () => {
  const bare = createRelayConnection({ ...clock, ...nodeNetwork, url: server.url });
  const handlers = { onItems: async () => undefined, onEvent: () => undefined };
  expect(() => bare.openMailbox(handlers)).toThrowError(/token/);
  open();
  expect(() => open()).toThrowError(/one mailbox/);
});
