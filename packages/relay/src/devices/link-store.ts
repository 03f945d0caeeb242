// Linking codes that are open: a handful of rows, ten minutes each.

import type { Queryable } from '@siegel/database';
import type { AccountId, DeviceId } from '@siegel/protocol/ids';

export type LinkRow = {
  link_id: string;
  account_id: AccountId;
  opened_by: DeviceId;
  leaf_key: Buffer | null;
  join_proof: Buffer | null;
  join_token_hash: Buffer | null;
  device_id: DeviceId | null;
  certificate: string | null;
  complete_proof: Buffer | null;
};

/** False when another link under this id is still open. A device has one open link: its earlier one ends. */
export async function insertLink(
  transaction: Queryable,
  link: {
    linkId: string;
    accountId: AccountId;
    openedBy: DeviceId;
    expiresAt: number;
    now: number;
  },
): Promise<boolean> {
  const { linkId, accountId, openedBy, expiresAt, now } = link;
  await transaction.query('DELETE FROM links WHERE account_id = $1 AND opened_by = $2', [
    accountId,
    openedBy,
  ]);
  await transaction.query('DELETE FROM links WHERE link_id = $1 AND expires_at <= $2', [
    linkId,
    now,
  ]);
  const { count } = await transaction.query(
    `INSERT INTO links (link_id, account_id, opened_by, expires_at) VALUES ($1, $2, $3, $4)
     ON CONFLICT (link_id) DO NOTHING`,
    [linkId, accountId, openedBy, expiresAt],
  );
  return count === 1;
}

/** Undefined when unknown or over. */
export async function readLiveLink(
  queries: Queryable,
  linkId: string,
  now: number,
): Promise<LinkRow | undefined> {
  const { rows } = await queries.query<LinkRow>(
    'SELECT * FROM links WHERE link_id = $1 AND expires_at > $2',
    [linkId, now],
  );
  return rows[0];
}

/** Joins once (L1); the same joiner may ask again after a lost answer, and gets a new token. */
export async function joinOnce(
  queries: Queryable,
  join: { linkId: string; leafKey: Buffer; proof: Buffer; tokenHash: Buffer; now: number },
): Promise<boolean> {
  const { count } = await queries.query(
    `UPDATE links SET leaf_key = $2, join_proof = $3, join_token_hash = $4
     WHERE link_id = $1 AND expires_at > $5 AND certificate IS NULL
       AND (leaf_key IS NULL OR (leaf_key = $2 AND join_proof = $3))`,
    [join.linkId, join.leafKey, join.proof, join.tokenHash, join.now],
  );
  return count === 1;
}

export async function writeCompletion(
  queries: Queryable,
  completion: { linkId: string; deviceId: DeviceId; certificate: string; proof: Buffer },
): Promise<void> {
  await queries.query(
    'UPDATE links SET device_id = $2, certificate = $3, complete_proof = $4 WHERE link_id = $1',
    [completion.linkId, completion.deviceId, completion.certificate, completion.proof],
  );
}

export async function deleteOverLinks(queries: Queryable, now: number): Promise<number> {
  const { count } = await queries.query('DELETE FROM links WHERE expires_at <= $1', [now]);
  return count;
}
