// One item of the mailbox inside its conversation's lane: opened, adopted or joined, and stored whole with everything it
// changes. What cannot be decided yet is parked, which is storing too.

import { SiegelError } from '@siegel/protocol/errors';
import type { DeliveredItem } from '@siegel/protocol/relay';
import type { EngineContext } from '../engine-context.ts';
import { engineLimits } from '../engine-limits.ts';
import type { ParkedRecord } from '../engine-records.ts';
import { type Draft, openDraft, storeDraft, tellNotice } from './draft.ts';
import { forgetParked, type Parked, park, readParked } from './parked-items.ts';
import { takeCommit } from './take-commit.ts';
import { takeDelivered } from './take-delivered.ts';
import { takeWelcome } from './take-welcome.ts';
import type { Taken } from './taken.ts';
import type { StageResult } from './turn.ts';

export function takeItem(context: EngineContext, item: DeliveredItem): Promise<void> {
  return context.lanes.enter(item.conversationId, async () => {
    if (await mustQueue(context, item)) {
      const draft = await openDraft(context, item.conversationId);
      await parkOrGiveUp(context, draft, { item, state: 'waiting' });
      return;
    }
    const draft = await openDraft(context, item.conversationId);
    const taken = await tryItem(context, draft, item);
    if (taken.outcome === 'done') {
      await storeDraft(context, draft);
      return;
    }
    // What a refused attempt worked out is dropped with its draft; only what it learnt of accounts is kept.
    const clean = taken.clean ? await openDraft(context, item.conversationId) : draft;
    await parkOrGiveUp(context, clean, { item, state: taken.outcome });
  });
}

/** Parking has a limit: beyond it an item is given up, and the chat says so. */
async function parkOrGiveUp(
  context: EngineContext,
  draft: Draft,
  parked: { readonly item: DeliveredItem; readonly state: ParkedRecord['state'] },
): Promise<void> {
  const { item } = parked;
  const known = context.queues.parked.has(item.conversationId)
    ? (await readParked(context, item.conversationId)).length
    : 0;
  if (known < engineLimits.parkedPerConversation) park(context, draft, parked);
  else {
    const { accountId } = item.sender;
    const { clientId } = item;
    tellNotice(context, draft, { notice: 'message-unreadable', accountId, clientId });
  }
  await storeDraft(context, draft);
}

/** Keys of a sender's later message end those of an earlier one, so nothing may overtake what waits. */
async function mustQueue(context: EngineContext, item: DeliveredItem): Promise<boolean> {
  if (item.type === 'welcome' || !context.queues.parked.has(item.conversationId)) return false;
  const parked = await readParked(context, item.conversationId);
  return parked.some(
    ({ record }) =>
      record.state === 'waiting' && (item.type === 'message' || record.item.type === 'commit'),
  );
}

async function tryItem(
  context: EngineContext,
  draft: Draft,
  item: DeliveredItem,
): Promise<{ readonly outcome: Taken; readonly clean: boolean }> {
  try {
    const outcome = await takeByType(context, draft, item);
    return { outcome, clean: false };
  } catch (error) {
    // The relay could not be asked for what this item needs: it waits in the store, not in the mailbox.
    if (!(error instanceof SiegelError) || !fromRelay.has(error.code)) throw error;
    context.report(error);
    return { outcome: 'waiting', clean: true };
  }
}

const fromRelay = new Set<string>([
  'relay-unreachable',
  'relay-refused',
  'too-many-requests',
  'overloaded',
  'shutting-down',
  'internal',
  'database-unavailable',
]);

function takeByType(context: EngineContext, draft: Draft, item: DeliveredItem): Promise<Taken> {
  switch (item.type) {
    case 'message':
      return takeDelivered(context, draft, item);
    case 'commit':
      return takeCommit(context, draft, item);
    case 'welcome':
      return takeWelcome(context, draft, item);
  }
}

/** Stage: what waits is tried again, in order; the first that must wait on holds back the rest. */
export async function drainParked(
  context: EngineContext,
  conversationId: DeliveredItem['conversationId'],
): Promise<StageResult> {
  if (!context.queues.parked.has(conversationId)) return 'nothing';
  return context.lanes.enter(conversationId, async () => {
    const parked = await readParked(context, conversationId);
    if (parked.length === 0) {
      context.queues.parked.delete(conversationId);
      return 'nothing';
    }
    const first = parked.find(({ record }) => record.state === 'waiting');
    if (first === undefined) return 'nothing';
    return retry(context, first);
  });
}

async function retry(context: EngineContext, { key, record }: Parked): Promise<StageResult> {
  const { item } = record;
  const draft = await openDraft(context, item.conversationId);
  const outcome = await takeByType(context, draft, item);
  if (outcome === 'waiting') return 'nothing';
  forgetParked(draft, key);
  if (outcome === 'unopenable') park(context, draft, { item, state: outcome });
  await storeDraft(context, draft);
  return 'progress';
}
