// Takes the next signed device list of an account into the store: every rule of D1, and the first half of D3. Registration
// and enrolment publish their first list through here as well.

import { verifyDeviceList } from '@siegel/crypto/verify';
import type { Queryable } from '@siegel/database';
import type { AccountId, DeviceId } from '@siegel/protocol/ids';
import type { DeviceList } from '@siegel/protocol/relay';
import { toBytes } from '../octets.ts';
import {
  type AccountRow,
  addDevice,
  type DeviceRow,
  giveToken,
  lockAccount,
  readDevices,
  revokeDevices,
  writeList,
} from './device-store.ts';

export type Publication = {
  readonly accountId: AccountId;
  /** base64url; may replace an earlier key when `first` is given */
  readonly accountKey: string;
  readonly signed: string;
  /** The registering or enrolling device, which gets its token with the list. */
  readonly first?: { readonly deviceId: DeviceId; readonly tokenHash: Buffer };
  readonly now: number;
};

export type Published =
  | { readonly outcome: 'published'; readonly version: number; readonly keyReplaced: boolean }
  | { readonly outcome: 'list-refused'; readonly reason: string }
  | { readonly outcome: 'version-conflict'; readonly version: number };

const refused = (reason: string): Published => ({ outcome: 'list-refused', reason });

/** Writes nothing unless it answers `published`. Afterwards `endRevokedDevices` must be called, outside the transaction. */
export async function publishDeviceList(
  transaction: Queryable,
  publication: Publication,
): Promise<Published> {
  const { accountId, accountKey, signed, first } = publication;
  const verified = await verifyDeviceList(signed, { expectedKey: accountKey });
  if (verified.outcome !== 'valid') return refused(verified.outcome);
  const list = verified.statement;
  if (list.sub !== accountId) return refused('The list is of another account.');
  const account = await lockAccount(transaction, accountId);
  if (account === undefined) return refused('There is no such account.');
  const sameKey = account.account_key?.equals(toBytes(accountKey)) ?? false;
  if (!sameKey && first === undefined) return refused('Another account key signed this list.');
  if (sameKey && signed === account.device_list && first === undefined) {
    return { outcome: 'published', version: list.version, keyReplaced: false };
  }
  const expected = sameKey ? account.device_list_version + 1 : 1;
  if (list.version !== expected) {
    return first === undefined
      ? { outcome: 'version-conflict', version: account.device_list_version }
      : refused(`The version must be ${expected}.`);
  }
  const current = await readDevices(transaction, accountId);
  const change = { account, list, kept: sameKey ? current : [], first };
  const fault = faultOf(change);
  if (fault !== undefined) return refused(fault);
  await write(transaction, { ...publication, list, current, kept: change.kept });
  const keyReplaced = account.account_key !== null && !sameKey;
  return { outcome: 'published', version: list.version, keyReplaced };
}

type Change = {
  readonly account: AccountRow;
  readonly list: DeviceList;
  readonly kept: readonly DeviceRow[];
  readonly first: Publication['first'];
};

/** D1, as far as the signature does not show it. */
function faultOf({ account, list, kept, first }: Change): string | undefined {
  if (list.next < account.next_device_id) return '`next` went back.';
  for (const device of list.devices) {
    const known = kept.find((row) => row.device_id === device.id);
    if (known === undefined && device.id < account.next_device_id) {
      return `Device id ${device.id} was given before.`;
    }
    if (known !== undefined && !known.leaf_key.equals(toBytes(device.leaf))) {
      return `Device ${device.id} changed its leaf key.`;
    }
  }
  if (first === undefined) return undefined;
  const added = list.devices.filter(({ id }) => kept.every((row) => row.device_id !== id));
  const isAlone = added.length === 1 && added[0]?.id === first.deviceId;
  return isAlone ? undefined : `The list must add device ${first.deviceId} and no other.`;
}

type Writing = Publication & {
  readonly list: DeviceList;
  readonly current: readonly DeviceRow[];
  readonly kept: readonly DeviceRow[];
};

async function write(transaction: Queryable, writing: Writing): Promise<void> {
  const { accountId, accountKey, signed, list, current, kept, first, now } = writing;
  const { version, next } = list;
  await writeList(transaction, accountId, {
    accountKey: toBytes(accountKey),
    signed,
    version,
    next,
  });
  const stays = (row: DeviceRow) =>
    kept.includes(row) && list.devices.some(({ id }) => id === row.device_id);
  const deviceIds = current.filter((row) => !stays(row)).map((row) => row.device_id);
  if (deviceIds.length > 0) await revokeDevices(transaction, accountId, { deviceIds, at: now });
  for (const { id, leaf, role } of list.devices) {
    if (kept.some((row) => row.device_id === id)) continue;
    const leafKey = toBytes(leaf);
    await addDevice(transaction, accountId, { id, leafKey, role, createdAt: now });
    if (id !== first?.deviceId) continue;
    await giveToken(transaction, { accountId, deviceId: id, leafKey, tokenHash: first.tokenHash });
  }
}
