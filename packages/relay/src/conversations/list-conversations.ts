// The founded conversations of the caller's account, by id, so that a new device can join each (rule C4).

import type { AccountId, ConversationId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { AnswerOf, listConversations as endpoint, RequestOf } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import type { DeviceCaller } from '../http/route.ts';
import { readConversationIds } from './contacts.ts';
import {
  isMember,
  readAccounts,
  readConversations,
  type StoredConversation,
  stateOf,
} from './read-conversations.ts';

/** Ids an account was ever noted under can be many more than it is a member of; one request looks at this many. */
const pagesMax = 10;

async function readPage(
  ports: BasePorts,
  accountId: AccountId,
  page: { after: ConversationId | undefined; size: number },
): Promise<{ found: StoredConversation[]; more: boolean }> {
  const found: StoredConversation[] = [];
  let { after } = page;
  for (let read = 0; read < pagesMax; read += 1) {
    const ids = await readConversationIds(ports.database, accountId, {
      after,
      size: page.size + 1,
    });
    const conversations = await readConversations(ports.database, ids);
    found.push(...conversations.filter((one) => one.founded && isMember(one, accountId)));
    if (found.length > page.size) return { found: found.slice(0, page.size), more: true };
    if (ids.length <= page.size) return { found, more: false };
    after = ids.at(-1);
  }
  return { found, more: found.length > 0 };
}

export async function listConversations(
  ports: BasePorts,
  caller: DeviceCaller,
  request: RequestOf<typeof endpoint>,
): Promise<AnswerOf<typeof endpoint>> {
  const page = { after: request.after, size: request.limit ?? limits.pageSizeMax };
  const { found, more } = await readPage(ports, caller.accountId, page);
  const accounts = await readAccounts(
    ports.database,
    found.flatMap(({ members }) => members.map(({ accountId }) => accountId)),
    { other: caller.accountId, now: ports.now() },
  );
  return {
    outcome: 'page',
    conversations: found.map((conversation) => stateOf(conversation, accounts)),
    more,
  };
}
