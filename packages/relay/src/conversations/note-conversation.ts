// Notes a conversation for its accounts, in the bucket of each, so that a new device finds it. Whoever lists still looks
// whether the account is a member.

import type { Queryable } from '@siegel/database';
import { type AccountId, bucketOf, type ConversationId } from '@siegel/protocol/ids';

const statement = 'SELECT note_conversation($1::int[], $2::uuid[], $3::uuid)';

/** Idempotent. */
export async function noteConversation(
  queries: Queryable,
  accountIds: readonly AccountId[],
  conversationId: ConversationId,
): Promise<void> {
  if (accountIds.length === 0) return;
  const values = [accountIds.map(bucketOf), accountIds, conversationId];
  await queries.queryNamed('note-conversation', statement, values);
}
