// Accounts of persons and the numbers they were registered with.

import type { Queryable } from '@siegel/database';
import { type AccountId, bucketOf, type DeviceId } from '@siegel/protocol/ids';

export type NumberRow = { account_id: AccountId; phone_number_id: number | null };

export type AccountFacts = {
  kind: 'person' | 'business';
  account_key: Buffer | null;
  device_list: string | null;
  next_device_id: DeviceId;
  pin_hash: string | null;
  pin_set_at: number | null;
  created_at: number;
};

export async function readNumber(
  queries: Queryable,
  number: string,
  lock: '' | 'FOR UPDATE' = '',
): Promise<NumberRow | undefined> {
  const { rows } = await queries.query<NumberRow>(
    `SELECT account_id, phone_number_id FROM numbers WHERE number = $1 ${lock}`,
    [number],
  );
  return rows[0];
}

/** Undefined when the account has no number any more: it went to somebody else. */
export async function numberOfPerson(
  queries: Queryable,
  accountId: AccountId,
): Promise<string | undefined> {
  const { rows } = await queries.query<{ number: string }>(
    'SELECT number FROM numbers WHERE account_id = $1 AND phone_number_id IS NULL',
    [accountId],
  );
  return rows[0]?.number;
}

/** False when the number was given to another account since `previous` was read. */
export async function bindNumber(
  transaction: Queryable,
  binding: { number: string; accountId: AccountId; previous: AccountId | null; at: number },
): Promise<boolean> {
  const { number, accountId, previous, at } = binding;
  if (previous === null) {
    const { count } = await transaction.query(
      `INSERT INTO numbers (number, account_id, proven_at) VALUES ($1, $2, $3)
       ON CONFLICT (number) DO NOTHING`,
      [number, accountId, at],
    );
    return count === 1;
  }
  const { count } = await transaction.query(
    `UPDATE numbers SET account_id = $2, proven_at = $3
     WHERE number = $1 AND account_id = $4 AND phone_number_id IS NULL`,
    [number, accountId, at, previous],
  );
  return count === 1;
}

/** The number becomes a new account's at its next registration (A5). */
export async function releaseNumber(
  queries: Queryable,
  number: string,
  accountId: AccountId,
): Promise<void> {
  await queries.query(
    'DELETE FROM numbers WHERE number = $1 AND account_id = $2 AND phone_number_id IS NULL',
    [number, accountId],
  );
}

export async function insertPerson(
  transaction: Queryable,
  accountId: AccountId,
  createdAt: number,
): Promise<void> {
  await transaction.query(
    `INSERT INTO accounts (bucket, account_id, kind, created_at) VALUES ($1, $2, 'person', $3)`,
    [bucketOf(accountId), accountId, createdAt],
  );
}

export async function readFacts(
  queries: Queryable,
  accountId: AccountId,
): Promise<AccountFacts | undefined> {
  const { rows } = await queries.query<AccountFacts>(
    `SELECT kind, account_key, device_list, next_device_id, pin_hash, pin_set_at, created_at
     FROM accounts WHERE bucket = $1 AND account_id = $2`,
    [bucketOf(accountId), accountId],
  );
  return rows[0];
}

/** When a device of the account was last seen, to the hour; 0 when never. */
export async function lastSeenAt(queries: Queryable, accountId: AccountId): Promise<number> {
  const { rows } = await queries.query<{ seen: number | null }>(
    `SELECT max(last_seen_at) AS seen FROM devices
     WHERE bucket = $1 AND account_id = $2 AND revoked_at IS NULL`,
    [bucketOf(accountId), accountId],
  );
  return rows[0]?.seen ?? 0;
}

export async function writePin(
  queries: Queryable,
  accountId: AccountId,
  pin: { hash: string; setAt: number },
): Promise<void> {
  await queries.query(
    `UPDATE accounts SET pin_hash = $3, pin_set_at = $4, pin_tries = 0, pin_locked_until = 0
     WHERE bucket = $1 AND account_id = $2`,
    [bucketOf(accountId), accountId, pin.hash, pin.setAt],
  );
}

/** Without `pinHash` no try was left: a wait is running, or there is no PIN. */
export type PinTry = { readonly pinHash?: string; readonly lockedUntil: number };

/**
 * Takes a try and sets the wait before the next one, whatever its result will be: parallel guesses cannot share one try.
 * `waits` are the seconds after the first, second, … wrong try; the last one stays.
 */
export async function takePinTry(
  queries: Queryable,
  accountId: AccountId,
  { now, waits }: { now: number; waits: readonly number[] },
): Promise<PinTry> {
  const place = [bucketOf(accountId), accountId];
  const { rows } = await queries.query<{ pin_hash: string; pin_locked_until: number }>(
    `UPDATE accounts SET pin_tries = pin_tries + 1,
       pin_locked_until = $3 + 1000 * ($4::bigint[])[least(pin_tries + 1, $5)]
     WHERE bucket = $1 AND account_id = $2 AND pin_locked_until <= $3 AND pin_hash IS NOT NULL
     RETURNING pin_hash, pin_locked_until`,
    [...place, now, waits, waits.length],
  );
  const taken = rows[0];
  if (taken !== undefined) {
    return { pinHash: taken.pin_hash, lockedUntil: taken.pin_locked_until };
  }
  const locked = await queries.query<{ pin_locked_until: number }>(
    'SELECT pin_locked_until FROM accounts WHERE bucket = $1 AND account_id = $2',
    place,
  );
  return { lockedUntil: locked.rows[0]?.pin_locked_until ?? now };
}

export async function endPinTries(queries: Queryable, accountId: AccountId): Promise<void> {
  await queries.query(
    `UPDATE accounts SET pin_tries = 0, pin_locked_until = 0
     WHERE bucket = $1 AND account_id = $2`,
    [bucketOf(accountId), accountId],
  );
}
