// Who stands behind a number: the directory's three queries, all by primary key.

import type { Queryable } from '@siegel/database';
import { type AccountId, bucketOf, type NumericId } from '@siegel/protocol/ids';

export type Holder = { account_id: AccountId; phone_number_id: number | null };

export async function holderOf(queries: Queryable, number: string): Promise<Holder | undefined> {
  const { rows } = await queries.query<Holder>(
    'SELECT account_id, phone_number_id FROM numbers WHERE number = $1',
    [number],
  );
  return rows[0];
}

export type Published = { account_key: Buffer | null; device_list: string | null };

export async function publishedOf(
  queries: Queryable,
  accountId: AccountId,
): Promise<Published | undefined> {
  const { rows } = await queries.query<Published>(
    'SELECT account_key, device_list FROM accounts WHERE bucket = $1 AND account_id = $2',
    [bucketOf(accountId), accountId],
  );
  return rows[0];
}

export async function certificateOf(
  queries: Queryable,
  phoneNumberId: NumericId | number,
  now: number,
): Promise<string | undefined> {
  const { rows } = await queries.query<{ certificate: string }>(
    'SELECT certificate FROM certificates WHERE phone_number_id = $1 AND expires_at > $2',
    [phoneNumberId, now],
  );
  return rows[0]?.certificate;
}

/** The business behind a phone-number id, once it has enrolled. */
export async function businessOfNumber(
  queries: Queryable,
  phoneNumberId: NumericId,
): Promise<AccountId | undefined> {
  const { rows } = await queries.query<{ account_id: AccountId }>(
    'SELECT account_id FROM numbers WHERE phone_number_id = $1',
    [phoneNumberId],
  );
  const accountId = rows[0]?.account_id;
  if (accountId === undefined) return undefined;
  return (await publishedOf(queries, accountId))?.device_list ? accountId : undefined;
}
