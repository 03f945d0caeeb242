// Registration and key packages against a relay that loses answers and lies.

import { createSigningKey, inspectKeyPackage, signNumberStatement } from '@siegel/crypto';
import { fromBase64Url, toBase64Url } from '@siegel/protocol/content';
import { limits } from '@siegel/protocol/limits';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readOwnDeviceList, renewOwnCertificate } from '../src/device-list.ts';
import { readIdentity } from '../src/identity.ts';
import {
  countKeyPackages,
  findKeyPackage,
  keepKeyPackages,
  renewLastResort,
} from '../src/key-packages.ts';
import { acceptOperator, pinOperator, readOperator } from '../src/operator.ts';
import {
  finishRegistration,
  proveNumber,
  registrationStage,
  startRegistration,
} from '../src/registration.ts';
import { type LittleRelay, rightCode, startLittleRelay } from './little-relay.ts';
import { aliceNumber, createTestDevice, register, type TestDevice } from './test-device.ts';

const start = 1_800_000_000_000;
const dayMs = 86_400_000;
const code = () => rightCode;

let relay: LittleRelay;
let alice: TestDevice;
beforeEach(async () => {
  relay = await startLittleRelay(start);
  alice = createTestDevice(relay);
});
afterEach(() => relay.close());

const supply = () => [...relay.keyPackages.values()][0]!;

test('a registered device has identity, list, pinned operator and key packages that others can use', async () => {
  const identity = await register(alice, { code });
  expect(await readIdentity(alice.store)).toEqual(identity);
  expect(identity).toMatchObject({
    kind: 'person',
    role: 'main',
    deviceId: 1,
    number: aliceNumber,
  });
  const list = (await readOwnDeviceList(alice.store))!.list;
  expect(list).toMatchObject({ version: 1, next: 2, sub: identity.accountId });
  expect((await readOperator(alice.store))?.keys).toEqual([
    toBase64Url(relay.operatorKey.publicKey),
  ]);
  expect(await registrationStage(alice.store)).toEqual({ stage: 'none' });
  expect(supply().oneTime.size).toBe(50);
  for (const text of [[...supply().oneTime][0]!, supply().lastResort!]) {
    const looked = await inspectKeyPackage(fromBase64Url(text), { now: start });
    if (looked.outcome !== 'valid') throw new Error(looked.outcome);
    expect(looked.certificate.leaf).toBe(toBase64Url(identity.leafKey.publicKey));
    const found = await findKeyPackage(alice.store, [fromBase64Url(looked.reference)]);
    expect(found?.lastResort).toBe(looked.lastResort);
  }
});

test('the stage tells a person who comes back what to do next', async () => {
  await startRegistration(alice, { number: aliceNumber });
  expect(await registrationStage(alice.store)).toMatchObject({ stage: 'code-sent' });
  expect(await proveNumber(alice, '000000')).toEqual({ outcome: 'wrong-code', triesLeft: 4 });
  const again = alice.crash();
  expect(await proveNumber(again, rightCode)).toEqual({ outcome: 'verified', pinRequired: false });
  expect(await registrationStage(again.crash().store)).toMatchObject({ stage: 'verified' });
  expect((await finishRegistration(again.crash())).outcome).toBe('registered');
});

test('finishing without a proven number is refused', async () => {
  expect(await finishRegistration(alice)).toEqual({ outcome: 'registration-over' });
});

test('keys are stored before they are published, and a crash in between publishes the same', async () => {
  await startRegistration(alice, { number: aliceNumber });
  await proveNumber(alice, rightCode);
  const lists: unknown[] = [];
  relay.change('createAccount', (honest) => (request, caller) => {
    lists.push(request['deviceList']);
    return lists.length === 1
      ? { outcome: 'pin-wrong', retryAfterSeconds: 0 }
      : honest(request, caller);
  });
  expect((await finishRegistration(alice)).outcome).toBe('pin-wrong');
  expect((await finishRegistration(alice.crash())).outcome).toBe('registered');
  expect(lists[1]).toBe(lists[0]);
});

test('a lost answer costs another code, but not the account key', async () => {
  await startRegistration(alice, { number: aliceNumber });
  await proveNumber(alice, rightCode);
  relay.loseAnswers('createAccount', 1);
  await expect(finishRegistration(alice)).rejects.toMatchObject({ code: 'relay-unreachable' });
  const published = [...relay.accounts.values()][0]!;
  const again = alice.crash();
  expect(await finishRegistration(again)).toEqual({ outcome: 'registration-over' });
  const identity = await register(again, { code, pin: '271828' });
  expect(identity.accountId).toBe(published.accountId);
  expect(identity.accountKey).toBe(published.key);
  expect(identity.deviceId).toBe(2);
  expect((await readOwnDeviceList(again.store))?.list.version).toBe(2);
});

test('an account of somebody else behind the number gets a fresh key, never one of another account', async () => {
  const bob = createTestDevice(relay);
  const before = await register(bob, { code });
  const identity = await register(alice, { code, pin: '271828' });
  expect(identity.accountId).toBe(before.accountId);
  expect(identity.accountKey).not.toBe(before.accountKey);
});

test('a restored account key stays the account’s key', async () => {
  const first = await register(alice, { code });
  const browser = createTestDevice(relay);
  const restored = { accountKey: first.accountSigningKey!, listVersion: 1 };
  const identity = await register(browser, { code, pin: '271828', restored });
  expect(identity.accountKey).toBe(first.accountKey);
  expect(identity.leafKey.publicKey).not.toEqual(first.leafKey.publicKey);
});

test.each([
  ['another number', { number: '+49301' + '2345678' }],
  ['another account key', { key: toBase64Url((await createSigningKey()).publicKey) }],
  ['another issuer', { iss: 'Somebody' }],
  ['expired', { exp: start / 1000 - 1 }],
])('a number statement for %s is refused', async (_name, change) => {
  relay.change('createAccount', (honest) => async (request, caller) => {
    const reply = await honest(request, caller);
    const payload = JSON.parse(
      Buffer.from(String(reply['numberStatement']).split('.')[1]!, 'base64url').toString(),
    ) as Parameters<typeof signNumberStatement>[0];
    const lie = { ...payload, ...change } as typeof payload;
    return { ...reply, numberStatement: await signNumberStatement(lie, relay.operatorKey) };
  });
  await expect(register(alice, { code })).rejects.toMatchObject({ code: 'relay-refused' });
  expect(await readIdentity(alice.store)).toBeUndefined();
});

test('operator keys other than the program’s own end the registration before anything is published', async () => {
  const operatorKeys = [toBase64Url((await createSigningKey()).publicKey)];
  await expect(register(alice, { code, operatorKeys })).rejects.toThrow('operator-unknown');
  expect(relay.calls).not.toContain('createAccount');
});

test('a changed operator key is told and not believed until somebody says so', async () => {
  expect((await pinOperator(alice)).outcome).toBe('pinned');
  expect((await pinOperator(alice)).outcome).toBe('known');
  const other = toBase64Url((await createSigningKey()).publicKey);
  relay.change('getOperator', (honest) => async (request, caller) => ({
    ...(await honest(request, caller)),
    keys: [{ keyId: 'k2', publicKey: other }],
  }));
  const changed = await pinOperator(alice);
  if (changed.outcome !== 'changed') throw new Error(changed.outcome);
  expect(changed.operator.keys).not.toContain(other);
  expect((await readOperator(alice.store))?.keys).not.toContain(other);
  await acceptOperator(alice, changed.offered);
  expect((await pinOperator(alice)).outcome).toBe('known');
});

test('a wrong clock is noticed', async () => {
  const pinned = await pinOperator({
    ...alice,
    environment: { ...alice.environment, now: () => relay.now + 5 * dayMs },
  });
  expect(pinned.offered.clockAheadMs).toBe(5 * dayMs);
});

test('a relay that is unreachable after registration leaves a registered device', async () => {
  await startRegistration(alice, { number: aliceNumber });
  await proveNumber(alice, rightCode);
  relay.loseAnswers('uploadKeyPackages', 100);
  const registered = await finishRegistration(alice);
  expect(registered).toMatchObject({ outcome: 'registered', keyPackages: undefined });
  relay.loseAnswers('uploadKeyPackages', 0);
  const identity = (await readIdentity(alice.store))!;
  const count = await countKeyPackages(alice.store);
  const kept = await keepKeyPackages(alice.crash().as(identity), identity);
  expect(kept).toMatchObject({ outcome: 'kept' });
  expect(supply().oneTime.size).toBe(50);
  expect(await countKeyPackages(alice.store)).toBe(count);
}, 60_000);

test('the supply is filled at low water only', async () => {
  const identity = await register(alice, { code });
  const device = alice.as(identity);
  expect(await keepKeyPackages(device, identity)).toMatchObject({ uploaded: 0, left: 50 });
  const claimed = [...supply().oneTime].slice(0, 31);
  for (const each of claimed) supply().oneTime.delete(each);
  expect(await keepKeyPackages(device, identity)).toMatchObject({ uploaded: 31, left: 50 });
});

test('a used one-time private half is forgotten, the last-resort one stays', async () => {
  const identity = await register(alice, { code });
  const references = await Promise.all(
    [[...supply().oneTime][0]!, supply().lastResort!].map(referenceOf),
  );
  const unknown = new Uint8Array(32);
  const oneTime = await findKeyPackage(alice.store, [unknown, references[0]!]);
  expect(oneTime?.used.length).toBe(1);
  await alice.store.commit(oneTime!.used);
  expect(await findKeyPackage(alice.store, [references[0]!])).toBeUndefined();
  const lastResort = await findKeyPackage(alice.store, [references[1]!]);
  expect(lastResort?.used).toEqual([]);
  const before = supply().lastResort;
  await renewLastResort(alice.as(identity), identity);
  expect(supply().lastResort).not.toBe(before);
  expect(await findKeyPackage(alice.store, [references[1]!])).toBeDefined();
});

test('packages are renewed before they end, and private halves forgotten when no Welcome can come', async () => {
  const identity = await register(alice, { code });
  const device = alice.as(identity);
  const before = supply().lastResort;
  relay.now = start + 45 * dayMs;
  supply().oneTime.clear();
  await keepKeyPackages(device, identity);
  expect(supply().lastResort).not.toBe(before);
  const count = await countKeyPackages(alice.store);
  expect(count).toBe(102);
  relay.now = start + (limits.keyPackageLifetimeDays + limits.mailboxRetentionDays) * dayMs + 1;
  // The certificate ended on this very day.
  expect(await keepKeyPackages(device, identity)).toEqual({ outcome: 'certificate-ending' });
  const renewed = await renewOwnCertificate(alice, identity);
  await keepKeyPackages(device, renewed!);
  expect(await countKeyPackages(alice.store)).toBe(51 + 1);
  expect(await findKeyPackage(alice.store, [await referenceOf(before!)])).toBeUndefined();
});

async function referenceOf(text: string): Promise<Uint8Array> {
  const looked = await inspectKeyPackage(fromBase64Url(text), { now: start });
  if (looked.outcome !== 'valid') throw new Error(looked.outcome);
  return fromBase64Url(looked.reference);
}

test('no package outlives the certificate in it', async () => {
  const identity = await register(alice, { code });
  relay.now = start + 80 * dayMs;
  supply().oneTime.clear();
  await keepKeyPackages(alice.as(identity), identity);
  const looked = await inspectKeyPackage(fromBase64Url([...supply().oneTime][0]!), {
    now: relay.now,
  });
  if (looked.outcome !== 'valid') throw new Error(looked.outcome);
  expect(looked.notAfter).toBeLessThanOrEqual(looked.certificate.exp);
});

test('refused packages are not offered again', async () => {
  const identity = await register(alice, { code });
  supply().oneTime.clear();
  relay.change('uploadKeyPackages', () => () => ({
    outcome: 'key-package-refused',
    index: 0,
    reason: 'expired',
  }));
  const before = await countKeyPackages(alice.store);
  expect(await keepKeyPackages(alice.as(identity), identity)).toEqual({
    outcome: 'refused',
    reason: 'expired',
  });
  expect(await countKeyPackages(alice.store)).toBe(before);
});
