// State, roster and GroupInfo of one conversation, for members only: to others it does not exist (rule C4).

import { bucketOf } from '@siegel/protocol/ids';
import type { AnswerOf, getConversation as endpoint, RequestOf } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import type { DeviceCaller } from '../http/route.ts';
import { isMember, readAccounts, readConversations, stateOf } from './read-conversations.ts';

const groupInfoStatement =
  'SELECT group_info FROM conversations WHERE bucket = $1 AND conversation_id = $2';

export async function getConversation(
  ports: BasePorts,
  caller: DeviceCaller,
  request: RequestOf<typeof endpoint>,
): Promise<AnswerOf<typeof endpoint>> {
  const { conversationId } = request;
  // GroupInfo first: it is at most older than the state beside it, and an older one loses its compare-and-set.
  const { rows } = await ports.database.queryNamed<{ group_info: Buffer | null }>(
    'read-group-info',
    groupInfoStatement,
    [bucketOf(conversationId), conversationId],
  );
  const [conversation] = await readConversations(ports.database, [conversationId]);
  if (conversation === undefined || !isMember(conversation, caller.accountId)) {
    return { outcome: 'not-member' };
  }
  const accounts = await readAccounts(
    ports.database,
    conversation.members.map(({ accountId }) => accountId),
    { other: caller.accountId, now: ports.now() },
  );
  const groupInfo = rows[0]?.group_info?.toString('base64url');
  return {
    outcome: 'conversation',
    state: stateOf(conversation, accounts),
    ...(groupInfo === undefined ? {} : { groupInfo }),
    deviceLists: [...accounts.values()].flatMap(({ deviceList }) => deviceList ?? []),
  };
}
