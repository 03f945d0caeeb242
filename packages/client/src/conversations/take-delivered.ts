// A delivered message: not twice, of a generation this device knows, opened with the sender it claims, then its content.

import type { OpenRefusal, Session } from '@siegel/crypto';
import { fromBase64Url } from '@siegel/protocol/content';
import type { DeliveredMessage, EnvelopeHeader } from '@siegel/protocol/relay';
import { type EngineContext, put } from '../engine-context.ts';
import { engineLimits } from '../engine-limits.ts';
import { ReceivedRecord } from '../engine-records.ts';
import { encodeRecord } from '../record.ts';
import { type Draft, tellNotice } from './draft.ts';
import { receivedKey, takeContent } from './take-content.ts';
import type { Taken } from './taken.ts';

export async function takeDelivered(
  context: EngineContext,
  draft: Draft,
  item: DeliveredMessage,
): Promise<Taken> {
  const { accountId, deviceId } = context.identity;
  if (item.sender.accountId === accountId && item.sender.deviceId === deviceId) return 'done';
  if ((await context.store.get('received', receivedKey(item))) !== undefined) return 'done';
  if (draft.record?.left === true) return 'done';
  const found = await sessionFor(context, draft, item);
  if (typeof found === 'string') return found;
  const opened = await context.engine.open(found, {
    mls: fromBase64Url(item.mls),
    header: headerOf(item),
    epoch: item.epoch,
    sender: item.sender,
    now: context.environment.now(),
  });
  if (opened.outcome === 'refused') {
    return takeRefusal(context, draft, { item, reason: opened.reason });
  }
  const { conversationId, generation } = item;
  draft.step.sessions.push({ conversationId, generation, session: opened.session });
  const { content, frankingKey } = opened;
  await takeContent(context, draft, { item, content, frankingKey });
  return 'done';
}

const headerOf = (item: DeliveredMessage): EnvelopeHeader => ({
  conversationId: item.conversationId,
  generation: item.generation,
  class: item.class,
  kind: item.kind,
  clientId: item.clientId,
  commitment: item.commitment,
  ...(item.template === undefined ? {} : { template: item.template }),
});

/** What only its sender can give again is worth keeping when it is shown; a lost control message is not. */
const lost = (item: DeliveredMessage): Taken => (item.class === 'message' ? 'unopenable' : 'done');

async function sessionFor(
  context: EngineContext,
  draft: Draft,
  item: DeliveredMessage,
): Promise<Session | Taken> {
  const { record } = draft;
  const { conversationId, generation } = item;
  if (record === undefined || generation > record.generation || !record.joined) {
    // The Welcome comes before it in the mailbox, unless it was lost.
    const isComing = record !== undefined && context.repairs.of(conversationId).need !== undefined;
    require(context, draft, isComing ? 0 : engineLimits.winnerMs);
    return 'waiting';
  }
  const session = await context.sessions.load(conversationId, generation);
  if (session !== undefined) return session;
  if (generation < record.generation) return lost(item);
  require(context, draft, 0);
  return 'waiting';
}

function require(context: EngineContext, draft: Draft, patienceMs: number): void {
  const notBefore = context.environment.now() + patienceMs;
  const { conversationId } = draft;
  // Outside the draft: an item that waits stores nothing but itself.
  const { need } = context.repairs.of(conversationId);
  if (need === undefined) context.repairs.require(conversationId, 'join', notBefore);
  context.wake(conversationId);
}

function takeRefusal(
  context: EngineContext,
  draft: Draft,
  { item, reason }: { readonly item: DeliveredMessage; readonly reason: OpenRefusal },
): Taken {
  const { accountId } = item.sender;
  switch (reason) {
    case 'epoch-ahead':
      if (item.generation < (draft.record?.generation ?? 0)) return lost(item);
      require(context, draft, engineLimits.winnerMs);
      return 'waiting';
    case 'epoch-unknown':
    case 'replayed':
    case 'too-far-ahead':
    case 'unopenable':
      return lost(item);
    case 'sender-mismatch':
      markDone(draft, item);
      tellNotice(context, draft, { notice: 'sender-mismatch', accountId, clientId: item.clientId });
      return 'done';
    case 'malformed':
    case 'wrong-conversation':
    case 'header-mismatch':
    case 'commitment-mismatch':
    case 'sender-removed':
      markDone(draft, item);
      if (item.class === 'message') {
        tellNotice(context, draft, {
          notice: 'message-refused',
          accountId,
          clientId: item.clientId,
        });
      }
      return 'done';
    case 'removed':
      return 'done';
  }
}

function markDone(draft: Draft, item: DeliveredMessage): void {
  put(draft.step, 'received', receivedKey(item), encodeRecord(ReceivedRecord, { v: 1 }));
}
