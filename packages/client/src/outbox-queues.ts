// What waits to be sent, in memory: which outbox records belong to which conversation, in the order of send(). The store
// holds the records themselves and is read again before each use.

import type { ClientId, ConversationId } from '@siegel/protocol/ids';

export type OutboxQueues = {
  add(key: string, order: string): void;
  first(key: string): string | undefined;
  all(key: string): readonly string[];
  drop(key: string, order: string): void;
  keys(): readonly string[];
  /** messages of all queues together */
  size(): number;
  /** Conversations with receipts that are owed, and since when. */
  readonly receipts: Map<ConversationId, number>;
  oweReceipt(conversationId: ConversationId): void;
  /** Whether the holder types, told at the next chance and then forgotten. */
  readonly typing: Map<ConversationId, boolean>;
  /** Conversations with parked items. */
  readonly parked: Set<ConversationId>;
  /** Client ids that are being stored at this moment. */
  readonly storing: Set<ClientId>;
};

export function createOutboxQueues(now: () => number, wake: (key: string) => void): OutboxQueues {
  const queues = new Map<string, string[]>();
  const receipts = new Map<ConversationId, number>();
  let size = 0;
  return {
    receipts,
    typing: new Map(),
    parked: new Set(),
    storing: new Set(),
    add(key, order) {
      const queue = queues.get(key) ?? [];
      queues.set(key, queue);
      if (queue.includes(order)) return;
      queue.push(order);
      size += 1;
      if ((queue.at(-2) ?? '') > order) queue.sort();
      wake(key);
    },
    first: (key) => queues.get(key)?.[0],
    all: (key) => [...(queues.get(key) ?? [])],
    drop(key, order) {
      const queue = queues.get(key);
      const at = queue?.indexOf(order) ?? -1;
      if (queue === undefined || at === -1) return;
      queue.splice(at, 1);
      size -= 1;
      if (queue.length === 0) queues.delete(key);
    },
    keys: () => [...queues.keys()],
    size: () => size,
    oweReceipt(conversationId) {
      if (!receipts.has(conversationId)) receipts.set(conversationId, now());
      wake(conversationId);
    },
  };
}
