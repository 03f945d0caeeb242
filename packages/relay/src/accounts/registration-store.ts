// Registrations under way. A row lives as long as its code or its token; both are kept as hashes (rule A4).

import type { Queryable } from '@siegel/database';
import type { AccountId, DeviceId } from '@siegel/protocol/ids';

export type Registration = {
  registration_id: Buffer;
  number: string;
  code_hash: Buffer;
  tries_left: number;
  expires_at: number;
  account_id: AccountId | null;
  takes_over: boolean;
  previous_account: AccountId | null;
  device_id: DeviceId | null;
};

export async function insertRegistration(
  queries: Queryable,
  registration: { id: Buffer; number: string; codeHash: Buffer; tries: number; expiresAt: number },
): Promise<void> {
  const { id, number, codeHash, tries, expiresAt } = registration;
  await queries.query(
    `INSERT INTO registrations (registration_id, number, code_hash, tries_left, expires_at)
     VALUES ($1, $2, $3, $4, $5)`,
    [id, number, codeHash, tries, expiresAt],
  );
}

/** Takes one try away before the code is compared, so that parallel guesses do not share one. */
export async function takeTry(
  queries: Queryable,
  id: Buffer,
  now: number,
): Promise<Registration | undefined> {
  const { rows } = await queries.query<Registration>(
    `UPDATE registrations SET tries_left = tries_left - 1
     WHERE registration_id = $1 AND expires_at > $2 AND tries_left > 0 AND token_hash IS NULL
     RETURNING *`,
    [id, now],
  );
  return rows[0];
}

export type Proven = {
  readonly id: Buffer;
  readonly tokenHash: Buffer;
  readonly accountId: AccountId;
  readonly takesOver: boolean;
  readonly previousAccount: AccountId | null;
  readonly deviceId: DeviceId;
  readonly expiresAt: number;
};

/** False when somebody else was quicker with the same code. */
export async function noteProven(queries: Queryable, proven: Proven): Promise<boolean> {
  const { count } = await queries.query(
    `UPDATE registrations SET token_hash = $2, account_id = $3, takes_over = $4,
       previous_account = $5, device_id = $6, expires_at = $7
     WHERE registration_id = $1 AND token_hash IS NULL`,
    [
      proven.id,
      proven.tokenHash,
      proven.accountId,
      proven.takesOver,
      proven.previousAccount,
      proven.deviceId,
      proven.expiresAt,
    ],
  );
  return count === 1;
}

export async function findByToken(
  queries: Queryable,
  tokenHash: Buffer,
  now: number,
): Promise<Registration | undefined> {
  const { rows } = await queries.query<Registration>(
    'SELECT * FROM registrations WHERE token_hash = $1 AND expires_at > $2',
    [tokenHash, now],
  );
  return rows[0];
}

/** False when it was used up in the meantime. */
export async function useUp(transaction: Queryable, id: Buffer): Promise<boolean> {
  const { count } = await transaction.query(
    'DELETE FROM registrations WHERE registration_id = $1',
    [id],
  );
  return count === 1;
}

export async function deleteOverRegistrations(queries: Queryable, now: number): Promise<number> {
  const { count } = await queries.query('DELETE FROM registrations WHERE expires_at <= $1', [now]);
  return count;
}
