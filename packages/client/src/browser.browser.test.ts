// What the browser's entry chooses, in a real Chromium: its network, its locks, its cryptography over the sealed store.

import { inspectKeyPackage } from '@siegel/crypto';
import { AccountId, DeviceId } from '@siegel/protocol/ids';
import { getOperator } from '@siegel/protocol/relay';
import { expect, test } from 'vitest';
import {
  browserEngineLock,
  browserEnvironment,
  browserNetwork,
  connectToRelay,
  deleteBrowserStore,
  openBrowserDevice,
  openBrowserStore,
} from './browser.ts';
import { FirstDevice, makeFirstDevice } from './device-keys.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import { createWebLock } from './web-lock.ts';

/** The test runner's own server: it is there, and it is no relay. */
const noRelay = location.origin;
const nobody = 'http://127.0.0.1:9';

test('chance is between 0 and 1, and time moves', async () => {
  const numbers = Array.from({ length: 100 }, () => browserEnvironment.random());
  expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
  expect(new Set(numbers).size).toBeGreaterThan(90);
  const before = browserEnvironment.now();
  await new Promise<void>((resolve) => {
    browserEnvironment.schedule(resolve, 5);
  });
  expect(browserEnvironment.now()).toBeGreaterThanOrEqual(before + 4);
});

test('a server that is no relay is refused, one that is not there is unreachable', async () => {
  await expect(connectToRelay({ url: noRelay }).call(getOperator, {})).rejects.toMatchObject({
    code: 'relay-refused',
  });
  const call = connectToRelay({ url: nobody }).call(getOperator, {}, { attemptsMax: 1 });
  await expect(call).rejects.toMatchObject({ code: 'relay-unreachable' });
});

test('an upload tells its status, ends when it is told to, and fails when nobody is there', async () => {
  const put = browserNetwork.putBytes!;
  const request = { headers: {}, bytes: new Uint8Array(10), onSent: () => undefined };
  const { signal } = new AbortController();
  expect(await put({ ...request, url: `${noRelay}/v1/blobs/x`, signal })).toBeGreaterThan(0);
  await expect(put({ ...request, url: nobody, signal })).rejects.toThrow('upload failed');
  const ended = AbortSignal.abort();
  await expect(put({ ...request, url: noRelay, signal: ended })).rejects.toThrow('upload failed');
});

test('a socket that cannot be opened is told as closed, once', async () => {
  let closed = 0;
  await new Promise<void>((resolve) => {
    browserNetwork.webSocket('ws://127.0.0.1:9/v1/socket', 'siegel.v1', {
      opened: () => undefined,
      frame: () => undefined,
      closed: () => {
        closed += 1;
        resolve();
      },
    });
  });
  expect(closed).toBe(1);
});

test('one engine at a time: the second waits until the first releases', async () => {
  const name = crypto.randomUUID();
  const lost = () => {
    throw new Error('not lost');
  };
  const first = await browserEngineLock(name).acquire(lost);
  const order: string[] = [];
  const second = browserEngineLock(name)
    .acquire(lost)
    .then((held) => {
      order.push('second');
      return held;
    });
  await browserEngineLock(crypto.randomUUID()).acquire(lost);
  order.push('first releases');
  await first.release();
  await (await second).release();
  expect(order).toEqual(['first releases', 'second']);
});

test('a lock that is taken away is told', async () => {
  const name = crypto.randomUUID();
  let told: () => void = () => undefined;
  const lost = new Promise<void>((resolve) => {
    told = resolve;
  });
  await createWebLock(navigator.locks, name).acquire(told);
  await navigator.locks.request(name, { steal: true }, async () => undefined);
  await lost;
});

test('keys made in this browser are read back from the sealed store and make key packages', async () => {
  const name = crypto.randomUUID();
  const store = await openBrowserStore(name);
  const first = await makeFirstDevice({
    accountId: AccountId.parse('00000000-2222-4333-8444-555555555555'),
    deviceId: DeviceId.parse(1),
    role: 'main',
    nowSeconds: Math.floor(Date.now() / 1000),
  });
  const value = encodeRecord(FirstDevice, first);
  await store.commit([{ collection: 'meta', key: 'first', value }]);
  await store.close();

  const again = await openBrowserStore(name);
  const device = await openBrowserDevice({ url: noRelay, store: again });
  expect(device.provider.name).toBe('webcrypto');
  const bytes = await again.get('meta', 'first');
  const { certificate, leafKey } = decodeRecord(FirstDevice, bytes!, 'first device');
  const { publicBytes } = await device.engine.newKeyPackage({
    identity: { certificate, leafKey },
    now: Date.now(),
    lifetimeDays: 30,
    lastResort: false,
  });
  const looked = await inspectKeyPackage(publicBytes, { now: Date.now() });
  expect(looked.outcome).toBe('valid');
  await again.close();
  await device.connection.close();
  await deleteBrowserStore(name);
});
