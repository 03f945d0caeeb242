// Device lists: the own one, which only a holder of the account key can change, and others', which are believed only as far
// as the pinned account key and the newest version go (design §3).

import { type SigningKey, signDeviceList, verifyDeviceList } from '@siegel/crypto';
import { toBase64Url } from '@siegel/protocol/content';
import { SiegelError } from '@siegel/protocol/errors';
import { type AccountId, DeviceId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import { DeviceList, getDeviceList, Statement, updateDeviceList } from '@siegel/protocol/relay';
import * as z from 'zod/mini';
import { type DeviceContext, nowInSeconds } from './device-context.ts';
import { certify } from './device-keys.ts';
import { type DeviceRole, type Identity, identityWrite } from './identity.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import type { Store, StoreWrite } from './store.ts';

/** What is pinned of an account. */
export type PinnedList = { readonly accountKey: string; readonly deviceList: DeviceList };

export type ListJudgement =
  | { readonly outcome: 'first' | 'newer' | 'same'; readonly list: DeviceList }
  /** signed by another key than the pinned one: shown in the chat, never taken over without a line */
  | { readonly outcome: 'account-key-changed'; readonly list: DeviceList }
  | {
      readonly outcome: 'refused';
      readonly reason:
        | 'invalid'
        | 'wrong-account'
        /** would bring a removed device back */
        | 'older'
        /** the account key signed two lists under one version: one of them is a lie */
        | 'two-of-one-version';
    };

const refused = (reason: Extract<ListJudgement, { outcome: 'refused' }>['reason']) =>
  ({ outcome: 'refused', reason }) as const;

export async function judgeDeviceList(
  accountId: AccountId,
  signed: string,
  pinned: PinnedList | undefined,
): Promise<ListJudgement> {
  const verified = await verifyDeviceList(signed);
  if (verified.outcome !== 'valid') return refused('invalid');
  const list = verified.statement;
  if (list.sub !== accountId) return refused('wrong-account');
  if (pinned === undefined) return { outcome: 'first', list };
  if (list.key !== pinned.accountKey) return { outcome: 'account-key-changed', list };
  const known = pinned.deviceList;
  if (list.version > known.version) return { outcome: 'newer', list };
  if (list.version < known.version) return refused('older');
  return sameList(list, known) ? { outcome: 'same', list } : refused('two-of-one-version');
}

/** Equal by schema order, which parsing has made the same. */
const sameList = (a: DeviceList, b: DeviceList): boolean =>
  JSON.stringify(DeviceList.parse(a)) === JSON.stringify(DeviceList.parse(b));

const OwnList = z.object({ v: z.literal(1), signed: Statement, list: DeviceList });
export type OwnList = z.infer<typeof OwnList>;

const published = 'device-list';
const unpublished = 'unfinished/device-list';

/** The newest own list that the relay is known to have. */
export async function readOwnDeviceList(store: Store): Promise<OwnList | undefined> {
  const bytes = await store.get('meta', published);
  return bytes === undefined ? undefined : decodeRecord(OwnList, bytes, 'device list');
}

const listWrite = (key: string, own: OwnList | undefined): StoreWrite => ({
  collection: 'meta',
  key,
  value: own === undefined ? undefined : encodeRecord(OwnList, own),
});

export const ownDeviceListWrite = (signed: string, list: DeviceList): StoreWrite =>
  listWrite(published, { v: 1, signed, list });

export type ListPublished =
  | { readonly outcome: 'published'; readonly list: DeviceList }
  /** this device does not hold the account key */
  | { readonly outcome: 'not-main' }
  | { readonly outcome: 'list-full' }
  | { readonly outcome: 'list-refused'; readonly reason: string }
  | { readonly outcome: 'rate-limited'; readonly retryAfterSeconds: number };

/** Undefined leaves the list as it is. */
type Change = (list: DeviceList) => DeviceList['devices'] | undefined;

const triesMax = 4;

/**
 * Signs and publishes the next version. A list that was signed before a crash is published first, as it is: two lists of one
 * version must never exist. The relay answers the same text again with success.
 */
async function changeDeviceList(
  context: DeviceContext,
  identity: Identity,
  change: Change,
): Promise<ListPublished> {
  const accountKey = identity.accountSigningKey;
  if (accountKey === undefined) return { outcome: 'not-main' };
  for (let tries = 0; tries < triesMax; tries += 1) {
    const waiting = await context.store.get('meta', unpublished);
    if (waiting !== undefined) {
      const ended = await publish(context, decodeRecord(OwnList, waiting, 'device list'));
      if (ended.outcome !== 'published' && ended.outcome !== 'conflict') return ended;
    }
    const current = await fetchOwnList(context, identity);
    const devices = change(current);
    if (devices === undefined) return { outcome: 'published', list: current };
    if (devices.length > limits.devicesPerAccount) return { outcome: 'list-full' };
    const next = await signNext(current, devices, {
      accountKey,
      nowSeconds: nowInSeconds(context),
    });
    await context.store.commit([listWrite(unpublished, next)]);
    const ended = await publish(context, next);
    if (ended.outcome !== 'conflict') return ended;
  }
  throw new SiegelError('state-conflict', 'the device list changes all the time');
}

async function signNext(
  current: DeviceList,
  devices: DeviceList['devices'],
  by: { readonly accountKey: SigningKey; readonly nowSeconds: number },
): Promise<OwnList> {
  const highest = Math.max(0, ...devices.map(({ id }) => id));
  const list: DeviceList = {
    ...current,
    version: current.version + 1,
    next: DeviceId.parse(Math.max(current.next, highest + 1)),
    devices,
    iat: by.nowSeconds,
  };
  return { v: 1, signed: await signDeviceList(list, by.accountKey), list };
}

async function publish(
  context: DeviceContext,
  own: OwnList,
): Promise<ListPublished | { readonly outcome: 'conflict' }> {
  const answer = await context.connection.call(updateDeviceList, { deviceList: own.signed });
  if (answer.outcome === 'rate-limited') return answer;
  if (answer.outcome === 'updated') {
    await context.store.commit([listWrite(published, own), listWrite(unpublished, undefined)]);
    return { outcome: 'published', list: own.list };
  }
  await context.store.commit([listWrite(unpublished, undefined)]);
  return answer.outcome === 'version-conflict' ? { outcome: 'conflict' } : answer;
}

/** The own list as the relay has it, checked with the own key: an older or foreign one is a fault of the relay. */
export async function fetchOwnList(
  context: Pick<DeviceContext, 'connection' | 'store'>,
  identity: Identity,
): Promise<DeviceList> {
  const { accountId, accountKey } = identity;
  const answer = await context.connection.call(getDeviceList, { accountId });
  if (answer.outcome === 'rate-limited') throw new SiegelError('too-many-requests', 'device list');
  if (answer.outcome === 'unknown') throw new SiegelError('relay-refused', 'own device list');
  const stored = await readOwnDeviceList(context.store);
  const verified = await verifyDeviceList(answer.deviceList, {
    expectedKey: accountKey,
    ...(stored === undefined ? {} : { minimumVersion: stored.list.version }),
  });
  if (verified.outcome !== 'valid' || verified.statement.sub !== accountId) {
    throw new SiegelError('relay-refused', 'own device list');
  }
  const list = verified.statement;
  if (list.version !== stored?.list.version) {
    await context.store.commit([ownDeviceListWrite(answer.deviceList, list)]);
  }
  return list;
}

/** Ends a device at once (D3); its leaves are removed by the next committer of each conversation (D4). */
export function removeDevice(
  context: DeviceContext,
  identity: Identity,
  deviceId: DeviceId,
): Promise<ListPublished> {
  return changeDeviceList(context, identity, ({ devices }) =>
    devices.some(({ id }) => id === deviceId)
      ? devices.filter(({ id }) => id !== deviceId)
      : undefined,
  );
}

/** Under the id that was certified for it; doing so again is harmless. */
export function addDevice(
  context: DeviceContext,
  identity: Identity,
  device: { readonly id: DeviceId; readonly leaf: string; readonly role: DeviceRole },
): Promise<ListPublished> {
  const added = nowInSeconds(context);
  return changeDeviceList(context, identity, ({ devices }) =>
    devices.some(({ id, leaf }) => id === device.id && leaf === device.leaf)
      ? undefined
      : [...devices, { ...device, added }],
  );
}

/** After a crash between signing and publishing. */
export async function resumeDeviceList(
  context: DeviceContext,
  identity: Identity,
): Promise<ListPublished | undefined> {
  const waiting = await context.store.get('meta', unpublished);
  if (waiting === undefined) return undefined;
  return changeDeviceList(context, identity, () => undefined);
}

/**
 * A fresh certificate for this device's own leaf, where the account key is. The identity is stored; the engine then carries
 * the certificate into each group with a commit, and new key packages carry it from then on.
 */
export async function renewOwnCertificate(
  context: Pick<DeviceContext, 'store' | 'environment'>,
  identity: Identity,
): Promise<Identity | undefined> {
  const accountKey = identity.accountSigningKey;
  if (accountKey === undefined) return undefined;
  const certificate = await certify({
    accountId: identity.accountId,
    deviceId: identity.deviceId,
    leaf: toBase64Url(identity.leafKey.publicKey),
    accountKey,
    nowSeconds: nowInSeconds(context),
  });
  const renewed = { ...identity, certificate };
  await context.store.commit([identityWrite(renewed)]);
  return renewed;
}
