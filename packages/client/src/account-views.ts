// What an app reads of an account: conversations and messages as they are kept on this device.

import { decodeContent } from '@siegel/protocol/content';
import type { ConversationId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { Conversation, StoredMessage } from './account-api.ts';
import type { EngineContext } from './engine-context.ts';
import { ConversationRecord, MessageRecord } from './engine-records.ts';
import { decodeRecord } from './record.ts';

export function toConversation(record: ConversationRecord): Conversation {
  const { conversationId, kind, phoneNumberId, generation, joined, lastMessageAt, unread } = record;
  return {
    conversationId,
    kind,
    ...(phoneNumberId === undefined ? {} : { phoneNumberId }),
    members: record.members.map(({ accountId, kind: memberKind }) => ({
      accountId,
      kind: memberKind,
    })),
    generation,
    joined: joined && !record.left,
    ...(lastMessageAt === undefined ? {} : { lastMessageAt }),
    unread,
  };
}

export function toStoredMessage(record: MessageRecord): StoredMessage {
  const { conversationId, order, messageId, clientId, own, at, status, failure } = record;
  return {
    conversationId,
    order,
    messageId,
    clientId,
    sender: { accountId: record.accountId, deviceId: record.deviceId },
    own,
    content: decodeContent(record.content),
    at,
    ...(status === undefined ? {} : { status }),
    ...(failure === undefined ? {} : { failure }),
  };
}

/** All conversations this device knows, page by page. */
export async function* conversationRecords(
  context: Pick<EngineContext, 'store'>,
): AsyncGenerator<ConversationRecord> {
  let after: string | undefined;
  for (;;) {
    const entries = await context.store.list('conversation', {
      prefix: '',
      limit: limits.pageSizeMax,
      ...(after === undefined ? {} : { after }),
    });
    for (const { value } of entries) yield decodeRecord(ConversationRecord, value, 'conversation');
    if (entries.length < limits.pageSizeMax) return;
    after = entries.at(-1)?.key;
  }
}

export async function listMessages(
  context: Pick<EngineContext, 'store'>,
  conversationId: ConversationId,
  page: { readonly before?: string; readonly limit: number },
): Promise<StoredMessage[]> {
  const prefix = `${conversationId}/`;
  const entries = await context.store.list('message', {
    prefix,
    reverse: true,
    limit: Math.min(page.limit, limits.pageSizeMax),
    ...(page.before === undefined ? {} : { before: `${prefix}${page.before}` }),
  });
  return entries.map(({ value }) => toStoredMessage(decodeRecord(MessageRecord, value, 'message')));
}
