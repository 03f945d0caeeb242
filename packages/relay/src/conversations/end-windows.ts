// A changed account key or a recycled number voids the service windows of a person (design §4, rule A6).

import { type Database, retryConflicts } from '@siegel/database';
import { type AccountId, bucketOf } from '@siegel/protocol/ids';

/** The business chats of a person lie in the person's bucket. */
const statement = `
  UPDATE conversations SET window_until = 0
  WHERE bucket = $1 AND person_id = $2 AND window_until > 0 AND conversation_id IN (
    SELECT conversation_id FROM account_conversations WHERE bucket = $1 AND account_id = $2)`;

/** Idempotent. */
export async function endWindows(database: Database, accountId: AccountId): Promise<void> {
  await retryConflicts(() => database.query(statement, [bucketOf(accountId), accountId]));
}
