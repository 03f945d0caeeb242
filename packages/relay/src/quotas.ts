// Durable fixed-window counters: look-ups an hour, blob bytes a day, conversations a day, SMS a day.
// One statement in the owner's bucket; a refusal spends nothing.

import type { Queryable } from '@siegel/database';
import { type AccountId, bucketOf, type ConversationId } from '@siegel/protocol/ids';

export type Spending = {
  readonly owner: AccountId | ConversationId;
  readonly quota: string;
  readonly amount: number;
  readonly max: number;
  readonly windowSeconds: number;
  readonly now: number;
};

export type Spent =
  | { readonly spent: true }
  | { readonly spent: false; readonly retryAfterSeconds: number };

const statement = `
  INSERT INTO quotas AS quota (bucket, owner, quota, window_start, used) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (bucket, owner, quota) DO UPDATE SET
    window_start = excluded.window_start,
    used = CASE WHEN quota.window_start = excluded.window_start
      THEN quota.used + excluded.used ELSE excluded.used END
  WHERE quota.window_start <> excluded.window_start OR quota.used + excluded.used <= $6
  RETURNING used`;

export async function spendQuota(queries: Queryable, spending: Spending): Promise<Spent> {
  const { owner, quota, amount, max, windowSeconds, now } = spending;
  const windowStart = now - (now % (windowSeconds * 1000));
  const retryAfterSeconds = Math.max(1, Math.ceil((windowStart - now) / 1000) + windowSeconds);
  if (amount > max) return { spent: false, retryAfterSeconds };
  const { rows } = await queries.queryNamed('spend-quota', statement, [
    bucketOf(owner),
    owner,
    quota,
    windowStart,
    amount,
    max,
  ]);
  return rows.length > 0 ? { spent: true } : { spent: false, retryAfterSeconds };
}
