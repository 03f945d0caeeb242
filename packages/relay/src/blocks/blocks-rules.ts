// Blocking any account, a business with all its numbers (X1). Whether the account exists is not told, and the blocked
// side is told nothing (X2).

import type { Queryable } from '@siegel/database';
import { SiegelError } from '@siegel/protocol/errors';
import { type AccountId, bucketOf } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { block, listBlocks, unblock } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import type { Rule } from '../http/route.ts';

const daySeconds = 86_400;

/**
 * A block stands in the blocker's bucket, for opening and listing, and where a conversation of the two lives: in the
 * person's bucket with a business, in that of the lower id between persons. All candidates are written; each is read by
 * one who knows only its own bucket.
 */
const bucketsOf = (blocker: AccountId, blocked: AccountId): readonly number[] => [
  ...new Set([bucketOf(blocker), bucketOf(blocked)]),
];

export const blockAccount =
  ({ database, now }: BasePorts): Rule<typeof block> =>
  async ({ accountId: blocker }, { accountId: blocked }) => {
    if (blocker === blocked) throw new SiegelError('request-invalid', 'accountId is your own.');
    if ((await countOthers(database, blocker, blocked)) >= limits.blocksPerAccount) {
      return { outcome: 'quota-reached', retryAfterSeconds: daySeconds };
    }
    // The conversation's bucket last: the blocker's own row is what makes a repetition find the rest undone.
    for (const bucket of bucketsOf(blocker, blocked)) {
      await database.query(
        `INSERT INTO blocks (bucket, blocker, blocked, since) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING`,
        [bucket, blocker, blocked, now()],
      );
    }
    return { outcome: 'blocked' };
  };

async function countOthers(
  queries: Queryable,
  blocker: AccountId,
  blocked: AccountId,
): Promise<number> {
  const { rows } = await queries.query<{ count: number }>(
    'SELECT count(*) AS count FROM blocks WHERE bucket = $1 AND blocker = $2 AND blocked <> $3',
    [bucketOf(blocker), blocker, blocked],
  );
  return rows[0]?.count ?? 0;
}

export const unblockAccount =
  ({ database }: BasePorts): Rule<typeof unblock> =>
  async ({ accountId: blocker }, { accountId: blocked }) => {
    // The blocker's own row last: while it stands, the list still shows the block.
    for (const bucket of bucketsOf(blocker, blocked).toReversed()) {
      await database.query(
        'DELETE FROM blocks WHERE bucket = $1 AND blocker = $2 AND blocked = $3',
        [bucket, blocker, blocked],
      );
    }
    return { outcome: 'unblocked' };
  };

export const readBlocks =
  ({ database }: BasePorts): Rule<typeof listBlocks> =>
  async ({ accountId }) => {
    const { rows } = await database.query<{ blocked: AccountId; since: number }>(
      `SELECT blocked, since FROM blocks WHERE bucket = $1 AND blocker = $2
       ORDER BY since, blocked LIMIT ${limits.blocksPerAccount}`,
      [bucketOf(accountId), accountId],
    );
    const blocks = rows.map(({ blocked, since }) => ({ accountId: blocked, since }));
    return { outcome: 'blocks', blocks };
  };
