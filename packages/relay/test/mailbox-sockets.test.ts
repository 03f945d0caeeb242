// Sockets of devices: hello, malformed frames, one socket a device, news beside the mailbox, and the end of it all
// (rules M3, M6, D3, K3, H3).

import { limits } from '@siegel/protocol/limits';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { MailboxHub } from '../src/hot-path.ts';
import { createWakeups, type Wakeups } from '../src/mailbox/wakeups.ts';
import { caughtUp, connect as connectTo, FakeSocket, until } from './fake-socket.ts';
import {
  addKeyPackages,
  bytes,
  createWorld,
  type Device,
  leafOf,
  type TestAccount,
  type World,
} from './hot-path-world.ts';

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

test('M6 A socket that is silent, wrong or malformed is closed and loses no item', async () => {
  const { ben } = await chat();
  const wrong = new FakeSocket();
  world.hotPath.hub.acceptSocket(wrong);
  wrong.say({ type: 'hello', token: bytes(32) });
  await until(() => expect(wrong.closed).toMatchObject({ reason: 'unauthenticated' }));
  expect(wrong.frames).toEqual([{ type: 'bye', reason: 'unauthenticated' }]);
  const bad = [
    'not json',
    '[]',
    '{"type":"unknown"}',
    '{"type":"ping"}',
    '{"type":"acknowledge","position":-1}',
    '{"type":"acknowledge","position":1,"more":1}',
  ];
  for (const text of bad) {
    const nameless = new FakeSocket();
    world.hotPath.hub.acceptSocket(nameless);
    nameless.say(text);
    expect(nameless.closed).toMatchObject({ reason: 'malformed' });
    const socket = connect(first(ben));
    await caughtUp(socket);
    socket.say(text);
    expect(socket.frames.at(-1)).toEqual({ type: 'bye', reason: 'malformed' });
    expect(socket.closed).toMatchObject({ code: 1008 });
  }
  const twice = connect(first(ben));
  await caughtUp(twice);
  twice.say({ type: 'hello', token: bytes(32) });
  expect(twice.closed).toMatchObject({ reason: 'malformed' });
  expect(await world.mailbox(first(ben))).toHaveLength(1);
});

test('M6 Ten seconds without hello end a socket; before hello nothing else is taken', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const silent = new FakeSocket();
    world.hotPath.hub.acceptSocket(silent);
    vi.advanceTimersByTime(9_999);
    expect(silent.closed).toBeUndefined();
    vi.advanceTimersByTime(1);
    expect(silent.closed).toMatchObject({ reason: 'unauthenticated' });
    const early = new FakeSocket();
    world.hotPath.hub.acceptSocket(early);
    early.acknowledge(3);
    expect(early.closed).toMatchObject({ reason: 'malformed' });
  } finally {
    vi.useRealTimers();
  }
});

test('M3 Frames sent right behind hello are obeyed in order', async () => {
  const { ben } = await chat();
  await world.hotPath.copier.settled();
  const socket = connect(first(ben));
  socket.say({ type: 'ping', id: 7 });
  socket.acknowledge(1);
  await until(() => expect(socket.frames).toContainEqual({ type: 'pong', id: 7 }));
  await until(async () => expect(await world.mailbox(first(ben))).toHaveLength(0));
});

test('M3 A second socket of the same device replaces the first, also at another relay', async () => {
  const { ben } = await chat();
  const one = connect(first(ben));
  await caughtUp(one);
  const two = connect(first(ben));
  await caughtUp(two);
  expect(one.frames.at(-1)).toEqual({ type: 'bye', reason: 'replaced' });
  const other = world.create({ wakeups });
  const three = connect(first(ben), other.hub);
  await caughtUp(three);
  expect(two.closed).toMatchObject({ reason: 'replaced' });
  expect(three.closed).toBeUndefined();
  await other.close();
  expect(three.frames.at(-1)).toEqual({ type: 'bye', reason: 'shutting-down' });
});

test('D3 A revoked device loses its socket and its mailbox at once', async () => {
  const { anna, ben, conversationId } = await chat(2);
  const lost = ben.devices[1]!;
  const socket = connect(lost);
  await caughtUp(socket);
  await world.revoke(lost);
  world.hotPath.hub.revokeDevices(ben.accountId, [lost.deviceId]);
  expect(socket.frames.at(-1)).toEqual({ type: 'bye', reason: 'revoked' });
  await world.hotPath.duties.revokeLeaves(ben.accountId, [lost.deviceId]);
  expect(await world.mailbox(lost)).toEqual([]);
  const removed = [leafOf(lost, 2)];
  await world.commit(first(anna), conversationId, { form: 'member', epoch: 1, removed });
  expect(await world.mailbox(lost)).toEqual([]);
  // Its token may still be remembered elsewhere.
  const again = connect(lost);
  await until(() => expect(again.closed).toMatchObject({ reason: 'unauthenticated' }));
});

test('D3 Own devices and contacts hear that a device list changed, others do not', async () => {
  const { anna, ben } = await chat(2);
  const stranger = await world.addPerson();
  const sockets = [first(anna), ...ben.devices, first(stranger)].map((device) => connect(device));
  for (const socket of sockets) await caughtUp(socket);
  world.hotPath.hub.devicesChanged(ben.accountId);
  const told = { type: 'devices-changed', accountId: ben.accountId };
  for (const socket of sockets.slice(0, 3)) {
    await until(() => expect(socket.frames).toContainEqual(told));
  }
  expect(sockets[3]!.frames).not.toContainEqual(told);
});

test('K3 A device hears when few key packages are left', async () => {
  const [anna, ben] = [await world.addPerson(), await world.addPerson()];
  const expiresAt = world.clock.now + 86_400_000;
  const oneTime = limits.keyPackagesLowWater - 2;
  await addKeyPackages(world.database, first(ben), { oneTime, lastResort: false, expiresAt });
  const socket = connect(first(ben));
  await caughtUp(socket);
  expect(socket.types).not.toContain('key-packages-low');
  await world.open(first(anna), { kind: 'direct', accountId: ben.accountId });
  const left = limits.keyPackagesLowWater - 1;
  await until(() => expect(socket.frames).toContainEqual({ type: 'key-packages-low', left }));
  const again = connect(first(ben));
  await until(() => expect(again.frames).toContainEqual({ type: 'key-packages-low', left }));
});

test('H3 Stopping says bye to every socket, known or not, and takes no new one', async () => {
  const { ben } = await chat();
  const own = world.create({ wakeups: createWakeups() });
  const known = connect(first(ben), own.hub);
  await caughtUp(known);
  const nameless = new FakeSocket();
  own.hub.acceptSocket(nameless);
  await own.close();
  const late = connect(first(ben), own.hub);
  for (const socket of [known, nameless, late]) {
    expect(socket.frames.at(-1)).toEqual({ type: 'bye', reason: 'shutting-down' });
    expect(socket.closed).toMatchObject({ code: 1001 });
  }
});
