// Receipts of the other side move the status of own messages; those of another own device mark messages as read here too.

import type { Body } from '@siegel/protocol/content';
import type { DeliveredMessage } from '@siegel/protocol/relay';
import type { EngineContext } from '../engine-context.ts';
import type { MessageRecord } from '../engine-records.ts';
import { change, type Draft } from './draft.ts';
import { findMessage, putMessage, tellStatus } from './message-store.ts';

export async function takeReceipts(
  context: EngineContext,
  draft: Draft,
  { item, receipt }: { item: DeliveredMessage; receipt: Extract<Body, { type: 'receipt' }> },
): Promise<void> {
  const fromSelf = item.sender.accountId === context.identity.accountId;
  // One list may name a message twice; the later entry must see what the earlier one did.
  const seen = new Map<string, MessageRecord>();
  for (const { messageId, status, at } of receipt.statuses) {
    const message = seen.get(messageId) ?? (await findMessage(context, messageId));
    // Nobody may tell about messages of another conversation.
    if (message === undefined || message.conversationId !== item.conversationId) continue;
    if (fromSelf) {
      if (message.own || message.read === true || status === 'delivered') continue;
      const read = { ...message, read: true };
      putMessage(draft, read);
      change(draft, { unread: Math.max(0, (draft.record?.unread ?? 0) - 1) });
      seen.set(messageId, read);
    } else if (message.own && message.status !== undefined) {
      seen.set(messageId, tellStatus(draft, message, { status, at }));
    }
  }
}
