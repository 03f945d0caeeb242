// Messages as they are kept: by order in their conversation, and by id for replies, receipts and reports.

import type { ConversationId, MessageId } from '@siegel/protocol/ids';
import type { MessageStatus, StatusUpdate } from '../account-api.ts';
import { type EngineContext, put } from '../engine-context.ts';
import { MessageRecord } from '../engine-records.ts';
import { advanceStatus } from '../message-status.ts';
import { decodeRecord, encodeRecord } from '../record.ts';
import { change, type Draft } from './draft.ts';

export const messageKey = (conversationId: ConversationId, order: string): string =>
  `${conversationId}/${order}`;

export async function readMessage(
  context: Pick<EngineContext, 'store'>,
  conversationId: ConversationId,
  order: string,
): Promise<MessageRecord | undefined> {
  const bytes = await context.store.get('message', messageKey(conversationId, order));
  return bytes && decodeRecord(MessageRecord, bytes, 'message');
}

export async function findMessage(
  context: Pick<EngineContext, 'store'>,
  messageId: MessageId,
): Promise<MessageRecord | undefined> {
  const key = await context.store.get('message-id', messageId);
  if (key === undefined) return undefined;
  const bytes = await context.store.get('message', new TextDecoder().decode(key));
  return bytes && decodeRecord(MessageRecord, bytes, 'message');
}

export function putMessage(draft: Draft, message: MessageRecord): void {
  const key = messageKey(message.conversationId, message.order);
  put(draft.step, 'message', key, encodeRecord(MessageRecord, message));
}

/** A new message at the end of its conversation. */
export function addMessage(draft: Draft, message: MessageRecord): void {
  putMessage(draft, message);
  const key = messageKey(message.conversationId, message.order);
  put(draft.step, 'message-id', message.messageId, new TextEncoder().encode(key));
  change(draft, {
    lastOrder: message.order,
    lastMessageAt: Math.max(message.at, draft.record?.lastMessageAt ?? 0),
  });
}

/** Moves the status of an own message forward and tells of it; old news is nothing. */
export function tellStatus(
  draft: Draft,
  message: MessageRecord,
  news: Pick<StatusUpdate, 'status' | 'at' | 'failure'> & { readonly sequence?: number },
): MessageRecord {
  const { status, at, failure, sequence } = news;
  const next: MessageStatus | undefined = advanceStatus(message.status ?? 'pending', status);
  if (next === undefined) return message;
  const { failure: _, ...kept } = message;
  const changed: MessageRecord = {
    ...kept,
    status: next,
    ...(failure === undefined ? {} : { failure }),
    ...(status === 'sent' ? { at } : {}),
    ...(sequence === undefined ? {} : { sequence }),
  };
  putMessage(draft, changed);
  draft.step.tell.push({
    type: 'status',
    update: {
      conversationId: message.conversationId,
      clientId: message.clientId,
      messageId: message.messageId,
      status: next,
      at,
      ...(failure === undefined ? {} : { failure }),
    },
  });
  return changed;
}
