// Receipts are owed from the moment a message is stored, and sent as lists: one sealed control message answers many.

import type { ConversationId, MessageId } from '@siegel/protocol/ids';
import { change, openDraft, storeDraft } from './conversations/draft.ts';
import { findMessage, putMessage } from './conversations/message-store.ts';
import { comeBack, type StageResult, type Turn } from './conversations/turn.ts';
import { type EngineContext, put, remove } from './engine-context.ts';
import { engineLimits } from './engine-limits.ts';
import { MessageRecord, OwedReceipt } from './engine-records.ts';
import { addControl } from './outbox.ts';
import { decodeRecord, encodeRecord } from './record.ts';

export const owedReceiptPrefix = 'receipt/';
export const owedReceiptKey = (conversationId: ConversationId, order: string): string =>
  `${owedReceiptPrefix}${conversationId}/${order}`;

/** Stage: after a short pause, in which more may come, the owed receipts of a conversation become one message. */
export async function flushReceipts(
  context: EngineContext,
  conversationId: ConversationId,
  turn: Turn,
): Promise<StageResult> {
  const since = context.queues.receipts.get(conversationId);
  if (since === undefined) return 'nothing';
  const pause = since + engineLimits.receiptDelayMs - context.environment.now();
  if (pause > 0) {
    comeBack(turn, pause);
    return 'nothing';
  }
  return context.lanes.enter(conversationId, async () => {
    const draft = await openDraft(context, conversationId);
    const entries = await context.store.list('outbox', {
      prefix: owedReceiptKey(conversationId, ''),
      limit: engineLimits.receiptsPerMessage,
    });
    const more = entries.length === engineLimits.receiptsPerMessage;
    if (entries.length > 0 && draft.record?.left === false) {
      const statuses = entries.map(({ value }) => {
        const { messageId, status, at } = decodeRecord(OwedReceipt, value, 'owed receipt');
        return { messageId, status, at };
      });
      addControl(context, draft, { type: 'receipt', statuses });
    }
    for (const { key } of entries) remove(draft.step, 'outbox', key);
    draft.step.then.push(() => {
      if (!more) context.queues.receipts.delete(conversationId);
    });
    await storeDraft(context, draft);
    return 'progress' as const;
  });
}

/** Everything received up to this message counts as read, and its senders are told. */
export function markRead(
  context: EngineContext,
  conversationId: ConversationId,
  upTo: MessageId,
): Promise<void> {
  return context.lanes.enter(conversationId, async () => {
    const draft = await openDraft(context, conversationId);
    const last = await findMessage(context, upTo);
    if (last?.conversationId !== conversationId || draft.record === undefined) return;
    let left = draft.record.unread;
    let before: string | undefined;
    // The newest unread ones lie together at the end, so this ends as soon as the count is spent.
    for (let page = 0; left > 0 && page * pageSize < unreadScannedMax; page += 1) {
      const entries = await context.store.list('message', {
        prefix: `${conversationId}/`,
        limit: pageSize,
        reverse: true,
        ...(before === undefined ? {} : { before }),
      });
      for (const { key, value } of entries) {
        const message = decodeRecord(MessageRecord, value, 'message');
        before = key;
        if (message.own || message.read === true) continue;
        if (message.order > last.order) continue;
        putMessage(draft, { ...message, read: true });
        oweRead(context, draft, message);
        left -= 1;
      }
      if (entries.length < pageSize) break;
    }
    const newer = await countNewer(context, last);
    change(draft, { unread: Math.min(draft.record.unread, newer) });
    draft.step.then.push(() => context.queues.oweReceipt(conversationId));
    await storeDraft(context, draft);
  });
}

const pageSize = 100;
const unreadScannedMax = 10_000;

function oweRead(
  context: EngineContext,
  draft: Awaited<ReturnType<typeof openDraft>>,
  { conversationId, messageId, order }: MessageRecord,
): void {
  // Its own key: a delivered receipt that is still owed goes first, in the order of keys.
  const key = `${owedReceiptKey(conversationId, order)}/read`;
  const owed: OwedReceipt = { v: 1, messageId, status: 'read', at: context.environment.now() };
  put(draft.step, 'outbox', key, encodeRecord(OwedReceipt, owed));
}

async function countNewer(context: EngineContext, last: MessageRecord): Promise<number> {
  const entries = await context.store.list('message', {
    prefix: `${last.conversationId}/`,
    after: `${last.conversationId}/${last.order}`,
    limit: unreadScannedMax,
  });
  return entries.filter(({ value }) => {
    const message = decodeRecord(MessageRecord, value, 'message');
    return !message.own && message.read !== true;
  }).length;
}
