// The rows of devices and their signed list, all in the account's bucket.

import type { Queryable } from '@siegel/database';
import { type AccountId, bucketOf, type DeviceId } from '@siegel/protocol/ids';

export type AccountRow = {
  kind: 'person' | 'business';
  account_key: Buffer | null;
  device_list: string | null;
  device_list_version: number;
  next_device_id: DeviceId;
};

export type DeviceRow = { device_id: DeviceId; leaf_key: Buffer };

const accountColumns = 'kind, account_key, device_list, device_list_version, next_device_id';

export async function readAccount(
  queries: Queryable,
  accountId: AccountId,
): Promise<AccountRow | undefined> {
  const { rows } = await queries.query<AccountRow>(
    `SELECT ${accountColumns} FROM accounts WHERE bucket = $1 AND account_id = $2`,
    [bucketOf(accountId), accountId],
  );
  return rows[0];
}

/** Changes of one account's devices wait for each other here. */
export async function lockAccount(
  transaction: Queryable,
  accountId: AccountId,
): Promise<AccountRow | undefined> {
  const { rows } = await transaction.query<AccountRow>(
    `SELECT ${accountColumns} FROM accounts WHERE bucket = $1 AND account_id = $2 FOR UPDATE`,
    [bucketOf(accountId), accountId],
  );
  return rows[0];
}

export async function readDevices(
  queries: Queryable,
  accountId: AccountId,
): Promise<readonly DeviceRow[]> {
  const { rows } = await queries.query<DeviceRow>(
    `SELECT device_id, leaf_key FROM devices
     WHERE bucket = $1 AND account_id = $2 AND revoked_at IS NULL`,
    [bucketOf(accountId), accountId],
  );
  return rows;
}

export async function writeList(
  transaction: Queryable,
  accountId: AccountId,
  list: { accountKey: Buffer; signed: string; version: number; next: DeviceId },
): Promise<void> {
  await transaction.query(
    `UPDATE accounts SET account_key = $3, device_list = $4, device_list_version = $5,
       next_device_id = $6
     WHERE bucket = $1 AND account_id = $2`,
    [bucketOf(accountId), accountId, list.accountKey, list.signed, list.version, list.next],
  );
}

export async function addDevice(
  transaction: Queryable,
  accountId: AccountId,
  device: { id: DeviceId; leafKey: Buffer; role: string; createdAt: number },
): Promise<void> {
  await transaction.query(
    `INSERT INTO devices (bucket, account_id, device_id, leaf_key, role, created_at)
     VALUES ($1, $2, $3, $4, $5, $6)`,
    [bucketOf(accountId), accountId, device.id, device.leafKey, device.role, device.createdAt],
  );
}

/** Ends tokens and key packages of these devices (D3). */
export async function revokeDevices(
  transaction: Queryable,
  accountId: AccountId,
  revocation: { deviceIds: readonly DeviceId[]; at: number },
): Promise<void> {
  const which = [bucketOf(accountId), accountId, revocation.deviceIds];
  await transaction.query(
    `UPDATE devices SET revoked_at = $4, token_hash = NULL
     WHERE bucket = $1 AND account_id = $2 AND device_id = ANY($3)`,
    [...which, revocation.at],
  );
  for (const table of ['key_packages', 'key_package_references']) {
    await transaction.query(
      `DELETE FROM ${table} WHERE bucket = $1 AND account_id = $2 AND device_id = ANY($3)`,
      which,
    );
  }
}

/** True when the device is there, unrevoked, and holds this leaf key; its earlier token ends. */
export async function giveToken(
  queries: Queryable,
  device: { accountId: AccountId; deviceId: DeviceId; leafKey: Buffer; tokenHash: Buffer },
): Promise<boolean> {
  const { accountId, deviceId, leafKey, tokenHash } = device;
  const { count } = await queries.query(
    `UPDATE devices SET token_hash = $5 WHERE bucket = $1 AND account_id = $2 AND device_id = $3
       AND leaf_key = $4 AND revoked_at IS NULL AND last_seen_at = 0`,
    [bucketOf(accountId), accountId, deviceId, leafKey, tokenHash],
  );
  return count === 1;
}

/** Revoked devices whose leaves are still to be marked, of one account or of all. */
export async function readHalfRevoked(
  queries: Queryable,
  accountId?: AccountId,
): Promise<readonly { account_id: AccountId; device_ids: DeviceId[] }[]> {
  const ofAccount = accountId === undefined ? '' : 'AND bucket = $1 AND account_id = $2';
  const { rows } = await queries.query<{ account_id: AccountId; device_ids: DeviceId[] }>(
    `SELECT account_id, array_agg(device_id) AS device_ids FROM devices
     WHERE revoked_at IS NOT NULL AND NOT leaves_ended ${ofAccount}
     GROUP BY bucket, account_id LIMIT 1000`,
    accountId === undefined ? [] : [bucketOf(accountId), accountId],
  );
  return rows;
}

export async function noteLeavesEnded(
  queries: Queryable,
  accountId: AccountId,
  deviceIds: readonly DeviceId[],
): Promise<void> {
  await queries.query(
    `UPDATE devices SET leaves_ended = true
     WHERE bucket = $1 AND account_id = $2 AND device_id = ANY($3) AND revoked_at IS NOT NULL`,
    [bucketOf(accountId), accountId, deviceIds],
  );
}
