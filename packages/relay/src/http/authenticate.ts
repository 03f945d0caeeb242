// Who calls: device tokens against the store, with a short memory in this process, and the operator's token.
// A revocation here counts at once; at another node of the relay within `rememberedSeconds`.

import { timingSafeEqual } from 'node:crypto';
import type { Database } from '@siegel/database';
import { type AccountId, bucketOf, type DeviceId } from '@siegel/protocol/ids';
import { hashSecret, readToken } from '../device-token.ts';
import type { DeviceIdentity } from '../hot-path.ts';

const rememberedSeconds = 30;
const rememberedMax = 50_000;
/** `last_seen_at` is exact to the hour: enough for the registration lock, one write an hour for the store. */
const seenSteps = 3_600_000;

type Row = {
  account_id: AccountId;
  device_id: DeviceId;
  kind: 'person' | 'business';
  token_hash: Buffer;
  last_seen_at: number;
};

type Remembered = { readonly identity: DeviceIdentity; readonly until: number };

export type Authenticator = {
  readonly device: (token: string) => Promise<DeviceIdentity | undefined>;
  readonly isOperator: (token: string) => boolean;
  /** Forgets these devices' tokens at once (D3). */
  readonly invalidate: (accountId: AccountId, deviceIds: readonly DeviceId[]) => void;
};

export function createAuthenticator(ports: {
  readonly database: Database;
  readonly now: () => number;
  readonly operatorToken: string;
}): Authenticator {
  const { database, now } = ports;
  const operatorHash = hashSecret(ports.operatorToken);
  const remembered = new Map<string, Remembered>();
  const byDevice = new Map<string, string>();
  /** Grows with every invalidation, so that a look-up begun before one is not remembered after it. */
  let invalidations = 0;

  function forget(key: string): void {
    const known = remembered.get(key);
    if (known === undefined) return;
    remembered.delete(key);
    byDevice.delete(deviceKey(known.identity));
  }

  function remember(key: string, identity: DeviceIdentity): void {
    remembered.set(key, { identity, until: now() + rememberedSeconds * 1000 });
    byDevice.set(deviceKey(identity), key);
    if (remembered.size > rememberedMax) forget(remembered.keys().next().value ?? '');
  }

  async function device(token: string): Promise<DeviceIdentity | undefined> {
    const read = readToken(token);
    if (read === undefined) return undefined;
    const key = read.hash.toString('base64');
    const known = remembered.get(key);
    if (known !== undefined && known.until > now()) return known.identity;
    forget(key);
    const began = invalidations;
    const row = await findDevice(database, read);
    if (row === undefined || !timingSafeEqual(row.token_hash, read.hash)) return undefined;
    if (row.last_seen_at < now() - seenSteps) await noteSeen(database, row, now());
    const { account_id: accountId, device_id: deviceId, kind: account } = row;
    const identity = { accountId, deviceId, account };
    if (began === invalidations) remember(key, identity);
    return identity;
  }

  return {
    device,
    isOperator: (token) => timingSafeEqual(hashSecret(token), operatorHash),
    invalidate: (accountId, deviceIds) => {
      invalidations += 1;
      for (const deviceId of deviceIds) {
        forget(byDevice.get(deviceKey({ accountId, deviceId })) ?? '');
      }
    },
  };
}

const deviceKey = (device: { accountId: AccountId; deviceId: DeviceId }) =>
  `${device.accountId}/${device.deviceId}`;

async function findDevice(
  database: Database,
  { bucket, hash }: { bucket: number; hash: Buffer },
): Promise<Row | undefined> {
  const { rows } = await database.queryNamed<Row>(
    'find-device-by-token',
    `SELECT account_id, device_id, kind, token_hash, last_seen_at
     FROM devices JOIN accounts USING (bucket, account_id)
     WHERE bucket = $1 AND token_hash = $2 AND revoked_at IS NULL`,
    [bucket, hash],
  );
  return rows[0];
}

async function noteSeen(database: Database, row: Row, now: number): Promise<void> {
  await database.query(
    `UPDATE devices SET last_seen_at = $4
     WHERE bucket = $1 AND account_id = $2 AND device_id = $3`,
    [bucketOf(row.account_id), row.account_id, row.device_id, now],
  );
}
