// After a start: what the store says was not finished is taken up again, so that a crash loses and doubles nothing.

import type { ConversationId } from '@siegel/protocol/ids';
import { ConversationId as ConversationIdSchema } from '@siegel/protocol/ids';
import { pendingPrefix } from './conversations/pending-commit.ts';
import { targetKey } from './conversations/targets.ts';
import type { EngineContext } from './engine-context.ts';
import { OutboxRecord } from './engine-records.ts';
import { owedReceiptPrefix } from './receipts.ts';
import { decodeRecord } from './record.ts';
import type { Collection, Store, StoreEntry } from './store.ts';

const pageSize = 200;

async function* pages(
  store: Store,
  collection: Collection,
  range: { readonly prefix: string; readonly before?: string },
): AsyncGenerator<StoreEntry> {
  let after: string | undefined;
  for (;;) {
    const entries = await store.list(collection, {
      ...range,
      limit: pageSize,
      ...(after === undefined ? {} : { after }),
    });
    yield* entries;
    if (entries.length < pageSize) return;
    after = entries.at(-1)?.key;
  }
}

/** Answers the newest order in use, so that new ones come after it. */
export async function startOutbox(context: EngineContext): Promise<string> {
  const { queues, store } = context;
  let newest = '';
  // Orders are digits and sort before every other prefix of this collection.
  for await (const { key, value } of pages(store, 'outbox', { prefix: '', before: ':' })) {
    queues.add(targetKey(decodeRecord(OutboxRecord, value, 'outbox').to), key);
    newest = key;
  }
  for await (const { key } of pages(store, 'outbox', { prefix: pendingPrefix })) {
    context.wake(key.slice(pendingPrefix.length));
  }
  for await (const { key } of pages(store, 'outbox', { prefix: owedReceiptPrefix })) {
    queues.oweReceipt(conversationIn(key.slice(owedReceiptPrefix.length)));
  }
  for await (const { key } of pages(store, 'inbox', { prefix: '' })) {
    const conversationId = conversationIn(key);
    queues.parked.add(conversationId);
    context.wake(conversationId);
  }
  return newest;
}

const conversationIn = (key: string): ConversationId =>
  ConversationIdSchema.parse(key.slice(0, key.indexOf('/')));
