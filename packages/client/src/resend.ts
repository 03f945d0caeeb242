// What could not be opened is asked for again; whoever wrote it seals the same content again, as control, with the franking
// key of the first time. The relay took and charged the first envelope, so this costs nothing and shows nothing new.

import type { Body } from '@siegel/protocol/content';
import type { AccountId, ConversationId } from '@siegel/protocol/ids';
import type { DeliveredMessage } from '@siegel/protocol/relay';
import { type Draft, openDraft, storeDraft, tellNotice } from './conversations/draft.ts';
import { putMessage, readMessage } from './conversations/message-store.ts';
import { forgetParked, type Parked, putParked, readParked } from './conversations/parked-items.ts';
import { comeBack, type StageResult, type Turn } from './conversations/turn.ts';
import type { EngineContext } from './engine-context.ts';
import { engineLimits } from './engine-limits.ts';
import { OwnRecord } from './engine-records.ts';
import { addControl, addControlFor, ownKey } from './outbox.ts';
import { decodeRecord } from './record.ts';

const requestsMax = engineLimits.resendRequestMs.length;

/** Stage: asks the senders of unopened messages again, ever more rarely, and says in the chat when it does not help. */
export async function requestResends(
  context: EngineContext,
  conversationId: ConversationId,
  turn: Turn,
): Promise<StageResult> {
  if (!context.queues.parked.has(conversationId)) return 'nothing';
  return context.lanes.enter(conversationId, async () => {
    const draft = await openDraft(context, conversationId);
    if (draft.record?.joined !== true) return 'nothing';
    const { now } = context.environment;
    const unopenable = (await readParked(context, conversationId)).filter(
      ({ record }) => record.state === 'unopenable',
    );
    const due = unopenable.filter(({ record }) => record.nextRequestAt <= now()).slice(0, 100);
    const next = Math.min(
      ...unopenable.filter((each) => !due.includes(each)).map((each) => each.record.nextRequestAt),
    );
    if (Number.isFinite(next)) comeBack(turn, next - now());
    if (due.length === 0) return 'nothing';
    for (const each of due) notePatience(context, draft, each);
    const asked = due.filter(({ record }) => record.requests < requestsMax);
    if (asked.length > 0) {
      const clientIds = asked.map(({ record }) => record.item.clientId);
      addControl(context, draft, { type: 'resend-request', clientIds });
    }
    await storeDraft(context, draft);
    return 'progress';
  });
}

function notePatience(context: EngineContext, draft: Draft, { key, record }: Parked): void {
  const now = context.environment.now();
  const requests = record.requests + 1;
  if (record.requests === engineLimits.resendRequestsShown) {
    const { clientId, sender } = record.item;
    const notice = 'message-unreadable';
    tellNotice(context, draft, { notice, accountId: sender.accountId, clientId });
  }
  if (now - record.since > engineLimits.parkedMs) {
    forgetParked(draft, key);
    return;
  }
  const pause = engineLimits.resendRequestMs[requests] ?? engineLimits.parkedMs;
  putParked(draft, { key, record: { ...record, requests, nextRequestAt: now + pause } });
}

/** Answers what this device wrote itself and still keeps; what others wrote is theirs to send. */
export async function answerResendRequest(
  context: EngineContext,
  draft: Draft,
  { item, request }: { item: DeliveredMessage; request: Extract<Body, { type: 'resend-request' }> },
): Promise<void> {
  const now = context.environment.now();
  const current = await currentAccounts(context, draft);
  for (const clientId of new Set(request.clientIds)) {
    const bytes = await context.store.get('received', ownKey(clientId));
    if (bytes === undefined) continue;
    const own = decodeRecord(OwnRecord, bytes, 'own message');
    if (own.conversationId !== item.conversationId || own.messageOrder === undefined) continue;
    const message = await readMessage(context, item.conversationId, own.messageOrder);
    if (message?.frankingKey === undefined) continue;
    // Whoever came later was not meant, whoever asks; a message from before readers were kept is not sent again.
    const { readers = [] } = message;
    if (!readers.includes(item.sender.accountId)) continue;
    if (current === undefined || !current.every((id) => readers.includes(id))) continue;
    if (message.content.length > engineLimits.resendBytesMax) continue;
    const resent = message.resent ?? 0;
    const isOld = now - message.at > engineLimits.resendKeptMs;
    if (isOld || resent >= engineLimits.resendsPerMessage) continue;
    putMessage(draft, { ...message, resent: resent + 1 });
    const { content, frankingKey } = message;
    const body: Body = { type: 'resend', clientId, content, frankingKey };
    addControlFor(context, draft, { body, readers });
  }
}

/** Accounts with a leaf in the group an answer would be sealed in. */
async function currentAccounts(
  context: EngineContext,
  { conversationId, record }: Draft,
): Promise<AccountId[] | undefined> {
  const generation = record?.generation;
  if (generation === undefined) return undefined;
  const session = await context.sessions.load(conversationId, generation);
  if (session === undefined) return undefined;
  return context.engine.sessionInfo(session).members.map(({ accountId }) => accountId);
}
