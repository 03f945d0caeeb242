// Items that are stored and acknowledged but not opened yet: they wait for a commit, for the relay, or for their sender.

import type { AccountId, ClientId, ConversationId } from '@siegel/protocol/ids';
import type { DeliveredItem } from '@siegel/protocol/relay';
import { type EngineContext, put, remove } from '../engine-context.ts';
import { engineLimits } from '../engine-limits.ts';
import { ParkedRecord } from '../engine-records.ts';
import { decodeRecord, encodeRecord } from '../record.ts';
import type { Draft } from './draft.ts';

export type Parked = { readonly key: string; readonly record: ParkedRecord };

const keyOf = ({ conversationId, sequence, type }: DeliveredItem): string =>
  // One sequence brings a commit or a Welcome to a device, never both; the type keeps a lying relay from overwriting.
  `${conversationId}/${String(sequence).padStart(16, '0')}/${type}`;

export function park(
  context: EngineContext,
  draft: Draft,
  { item, state }: { readonly item: DeliveredItem; readonly state: ParkedRecord['state'] },
): void {
  const now = context.environment.now();
  const record: ParkedRecord = { v: 1, item, state, since: now, requests: 0, nextRequestAt: now };
  put(draft.step, 'inbox', keyOf(item), encodeRecord(ParkedRecord, record));
  draft.step.then.push(() => {
    context.queues.parked.add(item.conversationId);
    context.wake(item.conversationId);
  });
}

export const putParked = (draft: Draft, { key, record }: Parked): void =>
  put(draft.step, 'inbox', key, encodeRecord(ParkedRecord, record));

export const forgetParked = (draft: Draft, key: string): void => remove(draft.step, 'inbox', key);

/** All that is parked in a conversation, in the order in which the relay accepted it. */
export async function readParked(
  context: EngineContext,
  conversationId: ConversationId,
): Promise<Parked[]> {
  const entries = await context.store.list('inbox', {
    prefix: `${conversationId}/`,
    limit: engineLimits.parkedPerConversation,
  });
  return entries.map(({ key, value }) => ({
    key,
    record: decodeRecord(ParkedRecord, value, 'parked item'),
  }));
}

export async function readParkedBy(
  context: EngineContext,
  conversationId: ConversationId,
  wanted: { readonly accountId: AccountId; readonly clientId: ClientId },
): Promise<Parked | undefined> {
  const parked = await readParked(context, conversationId);
  return parked.find(
    ({ record: { item } }) =>
      item.type === 'message' &&
      item.sender.accountId === wanted.accountId &&
      item.clientId === wanted.clientId,
  );
}
