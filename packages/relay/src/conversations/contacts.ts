// Which conversations an account was noted under, and whom it shares one with.

import type { Queryable } from '@siegel/database';
import { type AccountId, bucketOf, type ConversationId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import { isMember, readConversations } from './read-conversations.ts';

const idsStatement = `
  SELECT conversation_id FROM account_conversations
  WHERE bucket = $1 AND account_id = $2 AND conversation_id > $3 ORDER BY conversation_id LIMIT $4`;
const lowestId = '00000000-0000-0000-0000-000000000000';

export async function readConversationIds(
  queries: Queryable,
  accountId: AccountId,
  page: { readonly after: ConversationId | undefined; readonly size: number },
): Promise<ConversationId[]> {
  const { rows } = await queries.queryNamed<{ conversation_id: ConversationId }>(
    'read-conversation-ids',
    idsStatement,
    [bucketOf(accountId), accountId, page.after ?? lowestId, page.size],
  );
  return rows.map(({ conversation_id }) => conversation_id);
}

export async function* conversationIdsOf(
  queries: Queryable,
  accountId: AccountId,
): AsyncGenerator<ConversationId[]> {
  let after: ConversationId | undefined;
  for (;;) {
    const ids = await readConversationIds(queries, accountId, { after, size: limits.pageSizeMax });
    if (ids.length > 0) yield ids;
    if (ids.length < limits.pageSizeMax) return;
    after = ids.at(-1);
  }
}

/** Members of the founded conversations of an account, page by page; an account may come more than once. */
export async function* contactsOf(
  queries: Queryable,
  accountId: AccountId,
): AsyncGenerator<AccountId[]> {
  for await (const ids of conversationIdsOf(queries, accountId)) {
    const conversations = await readConversations(queries, ids);
    yield conversations
      .filter((conversation) => conversation.founded && isMember(conversation, accountId))
      .flatMap(({ members }) => members.map((member) => member.accountId));
  }
}
