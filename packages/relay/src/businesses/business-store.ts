// Legal entities, their numbers, enrolment codes and certificates: reference tables that change a few times a year.

import type { Queryable } from '@siegel/database';
import { type AccountId, bucketOf, type DeviceId } from '@siegel/protocol/ids';

export type BusinessRow = {
  account_id: AccountId;
  waba_id: number;
  legal_name: string;
  country: string;
  register_entry: string | null;
  domain: string | null;
  evidence: string;
  level: 'number-proven' | 'entity-proven' | 'badge';
  keys_hosted_by: string | null;
};

export type BusinessNumberRow = {
  number: string;
  phone_number_id: number;
  waba_id: number;
  display_name: string;
};

export type NewBusiness = Omit<BusinessRow, 'keys_hosted_by'> & { readonly created_at: number };

export async function insertBusiness(transaction: Queryable, one: NewBusiness): Promise<void> {
  await transaction.query(
    `INSERT INTO accounts (bucket, account_id, kind, created_at) VALUES ($1, $2, 'business', $3)`,
    [bucketOf(one.account_id), one.account_id, one.created_at],
  );
  await transaction.query(
    `INSERT INTO businesses (account_id, waba_id, legal_name, country, register_entry, domain,
       evidence, level, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      one.account_id,
      one.waba_id,
      one.legal_name,
      one.country,
      one.register_entry,
      one.domain,
      one.evidence,
      one.level,
      one.created_at,
    ],
  );
}

/** False when somebody has this number. */
export async function insertNumber(
  transaction: Queryable,
  accountId: AccountId,
  row: BusinessNumberRow & { readonly proven_at: number },
): Promise<boolean> {
  const { count } = await transaction.query(
    `INSERT INTO numbers (number, account_id, phone_number_id, waba_id, display_name, proven_at)
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (number) DO NOTHING`,
    [row.number, accountId, row.phone_number_id, row.waba_id, row.display_name, row.proven_at],
  );
  return count === 1;
}

export async function readBusiness(
  queries: Queryable,
  accountId: AccountId,
): Promise<BusinessRow | undefined> {
  const { rows } = await queries.query<BusinessRow>(
    `SELECT account_id, waba_id, legal_name, country, register_entry, domain, evidence, level,
       keys_hosted_by FROM businesses WHERE account_id = $1`,
    [accountId],
  );
  return rows[0];
}

export async function readNumbers(
  queries: Queryable,
  accountId: AccountId,
): Promise<readonly BusinessNumberRow[]> {
  const { rows } = await queries.query<BusinessNumberRow>(
    `SELECT number, phone_number_id, waba_id, display_name FROM numbers
     WHERE account_id = $1 AND phone_number_id IS NOT NULL ORDER BY number`,
    [accountId],
  );
  return rows;
}

/** Older codes of the business end (E1). */
export async function replaceEnrolmentCode(
  transaction: Queryable,
  code: { codeHash: Buffer; accountId: AccountId; expiresAt: number },
): Promise<void> {
  await transaction.query('DELETE FROM enrolments WHERE account_id = $1 AND used_at IS NULL', [
    code.accountId,
  ]);
  await transaction.query(
    'INSERT INTO enrolments (code_hash, account_id, expires_at) VALUES ($1, $2, $3)',
    [code.codeHash, code.accountId, code.expiresAt],
  );
}

/** Undefined for a used, an ended and an unknown code alike (E2). */
export async function readEnrolment(
  queries: Queryable,
  codeHash: Buffer,
  now: number,
): Promise<AccountId | undefined> {
  const { rows } = await queries.query<{ account_id: AccountId }>(
    `SELECT account_id FROM enrolments
     WHERE code_hash = $1 AND used_at IS NULL AND expires_at > $2`,
    [codeHash, now],
  );
  return rows[0]?.account_id;
}

/** Uses the code up; false when it is used, ended or unknown. */
export async function useEnrolment(
  transaction: Queryable,
  codeHash: Buffer,
  now: number,
): Promise<boolean> {
  const { count } = await transaction.query(
    `UPDATE enrolments SET used_at = $2
     WHERE code_hash = $1 AND used_at IS NULL AND expires_at > $2`,
    [codeHash, now],
  );
  return count === 1;
}

export async function writeHost(
  transaction: Queryable,
  accountId: AccountId,
  keysHostedBy: string,
): Promise<void> {
  await transaction.query('UPDATE businesses SET keys_hosted_by = $2 WHERE account_id = $1', [
    accountId,
    keysHostedBy,
  ]);
}

export type EnrolmentState = {
  next_device_id: DeviceId;
  account_key: Buffer | null;
  used: boolean;
};

/** `used`: a device of the business has called since it enrolled. */
export async function readEnrolmentState(
  queries: Queryable,
  accountId: AccountId,
): Promise<EnrolmentState | undefined> {
  const { rows } = await queries.query<EnrolmentState>(
    `SELECT next_device_id, account_key, EXISTS (
       SELECT 1 FROM devices
       WHERE bucket = $1 AND account_id = $2 AND last_seen_at > 0) AS used
     FROM accounts WHERE bucket = $1 AND account_id = $2 AND kind = 'business'`,
    [bucketOf(accountId), accountId],
  );
  return rows[0];
}

export type CertificateRow = { phone_number_id: number; certificate: string; expires_at: number };

export async function writeCertificate(
  queries: Queryable,
  accountId: AccountId,
  row: CertificateRow,
): Promise<void> {
  await queries.query(
    `INSERT INTO certificates (phone_number_id, account_id, certificate, expires_at)
     VALUES ($1, $2, $3, $4) ON CONFLICT (phone_number_id) DO UPDATE
     SET account_id = excluded.account_id, certificate = excluded.certificate,
       expires_at = excluded.expires_at`,
    [row.phone_number_id, accountId, row.certificate, row.expires_at],
  );
}

export async function readCertificates(
  queries: Queryable,
  accountId: AccountId,
): Promise<readonly CertificateRow[]> {
  const { rows } = await queries.query<CertificateRow>(
    `SELECT phone_number_id, certificate, expires_at FROM certificates
     WHERE account_id = $1 ORDER BY phone_number_id`,
    [accountId],
  );
  return rows;
}
