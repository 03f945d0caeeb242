// Key packages in the account's bucket. Claiming them is the hot path's.

import type { Queryable } from '@siegel/database';
import { type AccountId, bucketOf, type DeviceId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';

export type DeviceRef = { readonly accountId: AccountId; readonly deviceId: DeviceId };

export type StoredKeyPackage = {
  readonly reference: Buffer;
  readonly keyPackage: Buffer;
  readonly expiresAt: number;
};

const place = ({ accountId, deviceId }: DeviceRef) => [bucketOf(accountId), accountId, deviceId];

/** One that was uploaded before is passed over, so that a claimed one never comes back (K2). */
export async function addOneTime(
  transaction: Queryable,
  device: DeviceRef,
  { reference, keyPackage, expiresAt }: StoredKeyPackage,
): Promise<void> {
  await transaction.query(
    `WITH fresh AS (
       INSERT INTO key_package_references (bucket, account_id, device_id, reference, expires_at)
       VALUES ($1, $2, $3, $4, $6) ON CONFLICT DO NOTHING RETURNING 1)
     INSERT INTO key_packages
       (bucket, account_id, device_id, reference, key_package, last_resort, expires_at)
     SELECT $1, $2, $3, $4, $5, false, $6 FROM fresh`,
    [...place(device), reference, keyPackage, expiresAt],
  );
}

export async function replaceLastResort(
  transaction: Queryable,
  device: DeviceRef,
  { reference, keyPackage, expiresAt }: StoredKeyPackage,
): Promise<void> {
  await transaction.query(
    `DELETE FROM key_packages
     WHERE bucket = $1 AND account_id = $2 AND device_id = $3 AND last_resort`,
    place(device),
  );
  await transaction.query(
    `INSERT INTO key_packages
       (bucket, account_id, device_id, reference, key_package, last_resort, expires_at)
     VALUES ($1, $2, $3, $4, $5, true, $6)`,
    [...place(device), reference, keyPackage, expiresAt],
  );
}

/** Drops what has expired and, beyond the limit, what expires first: a device that lost its store uploads anew. */
export async function trimKeyPackages(
  transaction: Queryable,
  device: DeviceRef,
  now: number,
): Promise<void> {
  for (const table of ['key_packages', 'key_package_references']) {
    await transaction.query(
      `DELETE FROM ${table}
       WHERE bucket = $1 AND account_id = $2 AND device_id = $3 AND expires_at <= $4`,
      [...place(device), now],
    );
  }
  await transaction.query(
    `DELETE FROM key_packages WHERE bucket = $1 AND account_id = $2 AND device_id = $3
       AND reference IN (
         SELECT reference FROM key_packages
         WHERE bucket = $1 AND account_id = $2 AND device_id = $3 AND NOT last_resort
         ORDER BY expires_at DESC, reference OFFSET ${limits.keyPackagesPerDevice})`,
    place(device),
  );
}

/** One-time packages a claimer could still get. */
export async function countKeyPackages(
  queries: Queryable,
  device: DeviceRef,
  now: number,
): Promise<number> {
  const { rows } = await queries.query<{ count: number }>(
    `SELECT count(*) AS count FROM key_packages
     WHERE bucket = $1 AND account_id = $2 AND device_id = $3 AND NOT last_resort
       AND expires_at > $4`,
    [...place(device), now],
  );
  return rows[0]?.count ?? 0;
}
