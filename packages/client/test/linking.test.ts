// Linking and device lists against a relay that carries, loses and swaps what passes through it.

import {
  createSigningKey,
  type SigningKey,
  signDeviceList,
  unsafeReadLeafCertificate,
} from '@siegel/crypto';
import { toBase64Url } from '@siegel/protocol/content';
import { AccountId } from '@siegel/protocol/ids';
import type { DeviceList } from '@siegel/protocol/relay';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DeviceContext } from '../src/device-context.ts';
import { cancelDeviceLink, continueDeviceLink, openDeviceLink } from '../src/device-linking.ts';
import {
  addDevice,
  fetchOwnList,
  judgeDeviceList,
  readOwnDeviceList,
  removeDevice,
  renewOwnCertificate,
  resumeDeviceList,
} from '../src/device-list.ts';
import { type Identity, readIdentity } from '../src/identity.ts';
import { continueJoining, joinDeviceLink } from '../src/link-joining.ts';
import { deviceIdOf, type LittleRelay, rightCode, startLittleRelay } from './little-relay.ts';
import { createTestDevice, register, type TestDevice } from './test-device.ts';

const start = 1_800_000_000_000;

let relay: LittleRelay;
let phone: TestDevice;
let identity: Identity;
let main: DeviceContext;
let laptop: TestDevice;
beforeEach(async () => {
  relay = await startLittleRelay(start);
  phone = createTestDevice(relay);
  identity = await register(phone, { code: () => rightCode });
  main = phone.as(identity);
  laptop = createTestDevice(relay);
});
afterEach(() => relay.close());

async function openedCode(): Promise<string> {
  const opened = await openDeviceLink(main, identity);
  if (opened.outcome !== 'opened') throw new Error(opened.outcome);
  return opened.code;
}

const account = () => relay.accounts.get(identity.accountId)!;

test('a device joins by the code and is on the signed list with its own key', async () => {
  const code = await openedCode();
  expect(await continueDeviceLink(main, identity)).toEqual({ outcome: 'waiting' });
  expect(await joinDeviceLink(laptop, code)).toEqual({ outcome: 'joined' });
  expect(await continueJoining(laptop)).toEqual({ outcome: 'waiting' });
  expect(await continueDeviceLink(main, identity)).toEqual({ outcome: 'linked', deviceId: 2 });
  const progress = await continueJoining(laptop.crash());
  if (progress.outcome !== 'linked') throw new Error(progress.outcome);
  const linked = progress.identity;
  expect(linked).toMatchObject({
    accountId: identity.accountId,
    accountKey: identity.accountKey,
    deviceId: 2,
    kind: 'person',
    role: 'linked',
  });
  expect(linked.accountSigningKey).toBeUndefined();
  expect(account().list).toMatchObject({
    version: 2,
    next: 3,
    devices: [
      { id: 1, role: 'main' },
      { id: 2, role: 'linked', leaf: toBase64Url(linked.leafKey.publicKey) },
    ],
  });
  expect(await readIdentity(laptop.store)).toEqual(linked);
  expect(relay.keyPackages.get(`${identity.accountId}/2`)?.oneTime.size).toBe(50);
  expect(await continueDeviceLink(main, identity)).toEqual({ outcome: 'link-over' });
});

test('a device that does not hold the account key shows no code and changes no list', async () => {
  const { accountSigningKey: _, ...linked } = identity;
  expect(await openDeviceLink(main, linked)).toEqual({ outcome: 'not-main' });
  expect(await removeDevice(main, linked, deviceIdOf(1))).toEqual({ outcome: 'not-main' });
});

test('the secret half of the code never reaches the relay', async () => {
  const code = (await openedCode()).replaceAll('-', '');
  await joinDeviceLink(laptop, code);
  await continueDeviceLink(main, identity);
  await continueJoining(laptop);
  const traffic = relay.server.seen.map(({ url, body }) => `${url} ${String(body)}`).join('\n');
  expect(traffic).toContain(code.slice(0, 8));
  expect(traffic).not.toContain(code.slice(8, 16));
});

test('a relay that offers a leaf key of its own is found out, and nothing is signed', async () => {
  const foreign = toBase64Url((await createSigningKey()).publicKey);
  relay.change('readLink', (honest) => async (request, caller) => {
    const reply = await honest(request, caller);
    return reply.outcome === 'joined' ? { ...reply, leafKey: foreign } : reply;
  });
  await joinDeviceLink(laptop, await openedCode());
  expect(await continueDeviceLink(main, identity)).toEqual({ outcome: 'proof-wrong' });
  expect(account().list.version).toBe(1);
  expect(relay.calls).not.toContain('updateDeviceList');
  expect(await continueDeviceLink(main, identity)).toEqual({ outcome: 'link-over' });
});

test('somebody who guessed only the public half joins in vain', async () => {
  const code = await openedCode();
  const guessed = `${code.slice(0, 9)}-${'AAAA-'.repeat(5)}AAAA`;
  expect(await joinDeviceLink(laptop, guessed)).toEqual({ outcome: 'joined' });
  expect(await continueDeviceLink(main, identity)).toEqual({ outcome: 'proof-wrong' });
});

describe('what the new device is handed must be the main device’s', () => {
  async function handedOver(change: (reply: Record<string, unknown>) => Record<string, unknown>) {
    relay.change('finishLink', (honest) => async (request, caller) => {
      const reply = await honest(request, caller);
      return reply.outcome === 'linked' ? { ...reply, ...change(reply), outcome: 'linked' } : reply;
    });
    await joinDeviceLink(laptop, await openedCode());
    await continueDeviceLink(main, identity);
    return continueJoining(laptop);
  }

  test('another account', async () => {
    const accountId = AccountId.parse('00000000-2222-4333-8444-555555555555');
    expect(await handedOver(() => ({ accountId }))).toEqual({ outcome: 'proof-wrong' });
    expect(await readIdentity(laptop.store)).toBeUndefined();
  });

  test('another proof', async () => {
    const proof = toBase64Url(new Uint8Array(32));
    expect(await handedOver(() => ({ proof }))).toEqual({ outcome: 'proof-wrong' });
  });

  test('a list that another key signed', async () => {
    const key = await createSigningKey();
    const list = { ...account().list, key: toBase64Url(key.publicKey) };
    const deviceList = await signDeviceList(list, key);
    expect(await handedOver(() => ({ deviceList }))).toEqual({ outcome: 'proof-wrong' });
  });

  test('an old list without the device', async () => {
    const deviceList = account().signed;
    expect(await handedOver(() => ({ deviceList }))).toEqual({ outcome: 'proof-wrong' });
  });
});

test('a crash after signing adds the same device, not a second one', async () => {
  await joinDeviceLink(laptop, await openedCode());
  relay.loseAnswers('updateDeviceList', 100);
  await expect(continueDeviceLink(main, identity)).rejects.toMatchObject({
    code: 'relay-unreachable',
  });
  relay.loseAnswers('updateDeviceList', 0);
  const again = phone.crash().as(identity);
  expect(await continueDeviceLink(again, identity)).toEqual({ outcome: 'linked', deviceId: 2 });
  expect(account().list.devices.map(({ id }) => id)).toEqual([1, 2]);
  expect(account().list.version).toBe(2);
  expect((await continueJoining(laptop)).outcome).toBe('linked');
}, 60_000);

test('a code that is no longer shown adds nobody', async () => {
  const code = await openedCode();
  await cancelDeviceLink(phone.store);
  await joinDeviceLink(laptop, code);
  expect(await continueDeviceLink(main, identity)).toEqual({ outcome: 'link-over' });
  expect(account().list.version).toBe(1);
});

test('a mistyped code is refused before anything is sent', async () => {
  const calls = relay.calls.length;
  expect(await joinDeviceLink(laptop, 'ABCD-EFGH')).toEqual({ outcome: 'code-malformed' });
  expect(relay.calls.length).toBe(calls);
  expect(await continueJoining(laptop)).toEqual({ outcome: 'link-over' });
});

test('a removed device is off the list, its id is never given again', async () => {
  await joinDeviceLink(laptop, await openedCode());
  await continueDeviceLink(main, identity);
  expect(await removeDevice(main, identity, deviceIdOf(2))).toMatchObject({ outcome: 'published' });
  expect(account().list).toMatchObject({ version: 3, next: 3, devices: [{ id: 1 }] });
  expect(await removeDevice(main, identity, deviceIdOf(2))).toMatchObject({ outcome: 'published' });
  expect(account().list.version).toBe(3);
});

test('no more devices than an account may have', async () => {
  for (let id = 2; id <= 8; id += 1) {
    const leaf = toBase64Url((await createSigningKey()).publicKey);
    const device = { id: deviceIdOf(id), leaf, role: 'linked' } as const;
    expect((await addDevice(main, identity, device)).outcome).toBe('published');
  }
  const leaf = toBase64Url((await createSigningKey()).publicKey);
  const ninth = { id: deviceIdOf(9), leaf, role: 'linked' } as const;
  expect(await addDevice(main, identity, ninth)).toEqual({ outcome: 'list-full' });
});

test('a list signed before a crash is published as it is', async () => {
  relay.loseAnswers('updateDeviceList', 100);
  relay.change(
    'updateDeviceList',
    (honest) => (request, caller) =>
      relay.calls.filter((name) => name === 'updateDeviceList').length <= 4
        ? { outcome: 'updated', version: 0 }
        : honest(request, caller),
  );
  const leaf = toBase64Url((await createSigningKey()).publicKey);
  const device = { id: deviceIdOf(2), leaf, role: 'linked' } as const;
  await expect(addDevice(main, identity, device)).rejects.toThrow();
  expect(account().list.version).toBe(1);
  relay.loseAnswers('updateDeviceList', 0);
  const again = phone.crash().as(identity);
  expect(await resumeDeviceList(again, identity)).toMatchObject({ outcome: 'published' });
  expect(account().list).toMatchObject({ version: 2, devices: [{ id: 1 }, { id: 2, leaf }] });
  expect(await resumeDeviceList(again, identity)).toBeUndefined();
}, 60_000);

test('a relay that shows an older or a foreign own list is refused', async () => {
  const old = account().signed;
  const leaf = toBase64Url((await createSigningKey()).publicKey);
  await addDevice(main, identity, { id: deviceIdOf(2), leaf, role: 'linked' });
  expect((await readOwnDeviceList(phone.store))?.list.version).toBe(2);
  let shown = old;
  relay.change('getDeviceList', () => () => ({ outcome: 'list', deviceList: shown }));
  await expect(fetchOwnList(main, identity)).rejects.toMatchObject({ code: 'relay-refused' });
  const foreign = await createSigningKey();
  shown = await signDeviceList(
    { ...account().list, version: 9, key: toBase64Url(foreign.publicKey) },
    foreign,
  );
  await expect(fetchOwnList(main, identity)).rejects.toMatchObject({ code: 'relay-refused' });
});

test('a renewed certificate is of the same leaf and lasts longer', async () => {
  relay.now = start + 60 * 86_400_000;
  const renewed = await renewOwnCertificate(phone, identity);
  const before = unsafeReadLeafCertificate(identity.certificate)!;
  const after = unsafeReadLeafCertificate(renewed!.certificate)!;
  expect(after).toMatchObject({ leaf: before.leaf, dev: before.dev, key: before.key });
  expect(after.exp - before.exp).toBe(60 * 86_400);
  expect(await readIdentity(phone.store)).toEqual(renewed);
});

describe('lists of others', () => {
  const bob = AccountId.parse('00000000-2222-4333-8444-555555555555');
  let key: SigningKey;
  let first: DeviceList;
  const sign = (list: DeviceList, by: SigningKey = key) => signDeviceList(list, by);
  beforeEach(async () => {
    key = await createSigningKey();
    first = {
      v: 1,
      sub: bob,
      key: toBase64Url(key.publicKey),
      version: 3,
      next: deviceIdOf(3),
      devices: [
        {
          id: deviceIdOf(1),
          leaf: toBase64Url((await createSigningKey()).publicKey),
          role: 'main',
          added: 1,
        },
      ],
      iat: 1,
    };
  });
  const pinned = () => ({ accountKey: first.key, deviceList: first });

  test('the first one is pinned, the same and newer ones are taken', async () => {
    expect((await judgeDeviceList(bob, await sign(first), undefined)).outcome).toBe('first');
    expect((await judgeDeviceList(bob, await sign(first), pinned())).outcome).toBe('same');
    const newer = { ...first, version: 4, devices: [] };
    expect(await judgeDeviceList(bob, await sign(newer), pinned())).toEqual({
      outcome: 'newer',
      list: newer,
    });
  });

  test('an older one is refused: it would bring a removed device back', async () => {
    expect(await judgeDeviceList(bob, await sign({ ...first, version: 2 }), pinned())).toEqual({
      outcome: 'refused',
      reason: 'older',
    });
  });

  test('two lists of one version are refused', async () => {
    expect(await judgeDeviceList(bob, await sign({ ...first, devices: [] }), pinned())).toEqual({
      outcome: 'refused',
      reason: 'two-of-one-version',
    });
  });

  test('another account key is told apart, whatever its version', async () => {
    const other = await createSigningKey();
    const list = { ...first, key: toBase64Url(other.publicKey), version: 99 };
    expect((await judgeDeviceList(bob, await sign(list, other), pinned())).outcome).toBe(
      'account-key-changed',
    );
  });

  test('a list that its own key did not sign, or of another account, is refused', async () => {
    const other = await createSigningKey();
    expect(await judgeDeviceList(bob, await sign(first, other), pinned())).toEqual({
      outcome: 'refused',
      reason: 'invalid',
    });
    expect(await judgeDeviceList(identity.accountId, await sign(first), undefined)).toEqual({
      outcome: 'refused',
      reason: 'wrong-account',
    });
  });
});
