// Sealing and submitting the message at the head of a conversation's queue. Session and sealed octets are stored together
// before anything leaves; the same octets are submitted until the relay has answered.

import { leavesToRemove } from '@siegel/crypto';
import { toBase64Url } from '@siegel/protocol/content';
import { SiegelError } from '@siegel/protocol/errors';
import type { AccountId, ConversationId } from '@siegel/protocol/ids';
import { type AnswerOf, submitMessage } from '@siegel/protocol/relay';
import type { FailureReason } from '../account-api.ts';
import { type EngineContext, put, remove } from '../engine-context.ts';
import { OutboxRecord } from '../engine-records.ts';
import { failMessage, hasExpired, readOutbox } from '../outbox.ts';
import { encodeRecord } from '../record.ts';
import { isRefusedForGood } from '../refused-for-good.ts';
import { commitContext } from './contacts.ts';
import { change, type Draft, openDraft, readConversation, storeDraft } from './draft.ts';
import { proposeMemberCommit } from './member-commit.ts';
import { putMessage, readMessage, tellStatus } from './message-store.ts';
import { comeBack, type StageResult, type Turn } from './turn.ts';
import { waitForCommits } from './wait-for-commits.ts';

/** Stage: one step with the oldest message of the queue. */
export async function sendHead(
  context: EngineContext,
  conversationId: ConversationId,
  turn: Turn,
): Promise<StageResult> {
  const order = context.queues.first(conversationId);
  if (order === undefined) return 'nothing';
  const record = await readOutbox(context, order);
  if (record === undefined) {
    context.queues.drop(conversationId, order);
    return 'progress';
  }
  const conversation = await readConversation(context, conversationId);
  if (conversation?.left === true)
    return fail(context, conversationId, { record, failure: 'not-member' });
  if (hasExpired(context, record))
    return fail(context, conversationId, { record, failure: 'expired' });
  if (conversation?.joined !== true) {
    context.repairs.require(conversationId, 'join', context.environment.now());
    return 'progress';
  }
  if (record.sealed === undefined) return sealHead(context, conversationId, { order, turn });
  return submitHead(context, conversationId, { record, turn });
}

async function fail(
  context: EngineContext,
  conversationId: ConversationId,
  failed: { readonly record: OutboxRecord; readonly failure: FailureReason },
): Promise<StageResult> {
  return context.lanes.enter(conversationId, async () => {
    const draft = await openDraft(context, conversationId);
    await failMessage(context, draft, failed);
    await storeDraft(context, draft);
    return 'progress' as const;
  });
}

function sealHead(
  context: EngineContext,
  conversationId: ConversationId,
  { order, turn }: { readonly order: string; readonly turn: Turn },
): Promise<StageResult> {
  return context.lanes.enter(conversationId, async () => {
    const draft = await openDraft(context, conversationId);
    const record = await readOutbox(context, order);
    if (record === undefined || draft.record === undefined) return 'progress';
    const { generation } = draft.record;
    const session = await context.sessions.load(conversationId, generation);
    const info = session && context.engine.sessionInfo(session);
    if (session === undefined || info?.status !== 'active') {
      context.repairs.require(conversationId, 'join', context.environment.now());
      return 'progress';
    }
    const waiting = waitForCommits(context, conversationId, {
      generation,
      epoch: info.epoch,
      turn,
    });
    if (waiting !== undefined) return waiting;
    const accounts = [...new Set(info.members.map(({ accountId }) => accountId))];
    if (await isForOthers(context, draft, { record, accounts })) return 'progress';
    // Not only when the relay asks for it: a relay that hands out an older list never will (design §3).
    const unlisted = leavesToRemove(info.members, await commitContext(context, draft));
    if (unlisted.some(({ leafIndex }) => leafIndex !== info.own?.leafIndex)) {
      context.repairs.require(conversationId, 'removal', context.environment.now());
      return 'progress';
    }
    const sealed = await context.engine.seal(session, {
      header: {
        conversationId,
        generation,
        class: record.class,
        kind: record.kind,
        clientId: record.clientId,
        ...(record.template === undefined ? {} : { template: record.template }),
      },
      content: record.content,
      now: context.environment.now(),
    });
    if (sealed.outcome === 'refused') {
      if (sealed.reason !== 'certificate-expired') {
        throw new SiegelError('seal-refused', sealed.reason);
      }
      if (info.own?.certificate === context.identity.certificate) {
        throw new SiegelError('seal-refused', 'the certificate of this device has ended');
      }
      await proposeMemberCommit(context, draft, { session, remove: [] });
      return 'progress';
    }
    draft.step.sessions.push({ conversationId, generation, session: sealed.session });
    const { epoch, mls, header, frankingKey } = sealed;
    const commitment = header.commitment ?? '';
    put(
      draft.step,
      'outbox',
      order,
      encodeRecord(OutboxRecord, {
        ...record,
        sealed: { generation, epoch, mls, commitment, frankingKey, readers: accounts },
      }),
    );
    await storeDraft(context, draft);
    return 'progress';
  });
}

/** Nothing is sealed in a group with a stranger, and a content sent again only for accounts it was first sealed for. */
async function isForOthers(
  context: EngineContext,
  draft: Draft,
  { record, accounts }: { record: OutboxRecord; accounts: readonly AccountId[] },
): Promise<boolean> {
  const { conversationId } = draft;
  const members = draft.record?.members ?? [];
  if (!accounts.every((id) => members.some(({ accountId }) => accountId === id))) {
    // The policy lets nobody in; a group stored before there was this rule may still hold one.
    context.repairs.require(conversationId, 'found', context.environment.now());
    return true;
  }
  const { readers } = record;
  if (readers === undefined || accounts.every((id) => readers.includes(id))) return false;
  await failMessage(context, draft, { record, failure: 'undeliverable' });
  await storeDraft(context, draft);
  return true;
}

/** Outcomes that end a message; their names are the reasons the app is told. */
const failures = [
  'undeliverable',
  'window-closed',
  'template-refused',
  'quota-reached',
  'pair-rate',
] as const satisfies readonly FailureReason[];
type Failing = (typeof failures)[number];
const isFailure = (outcome: string): outcome is Failing =>
  (failures as readonly string[]).includes(outcome);

async function submitHead(
  context: EngineContext,
  conversationId: ConversationId,
  { record, turn }: { readonly record: OutboxRecord; readonly turn: Turn },
): Promise<StageResult> {
  let answer: Answer;
  try {
    answer = await context.connection.call(submitMessage, requestOf(conversationId, record));
  } catch (error) {
    if (!isRefusedForGood(error)) throw error;
    context.report(error);
    return fail(context, conversationId, { record, failure: 'content-refused' });
  }
  if (isFailure(answer.outcome)) {
    return fail(context, conversationId, { record, failure: answer.outcome });
  }
  const condition = context.repairs.of(conversationId);
  const { now } = context.environment;
  switch (answer.outcome) {
    case 'accepted':
      await accept(context, conversationId, { record, answer });
      return 'progress';
    case 'rate-limited':
      condition.notBefore = now() + answer.retryAfterSeconds * 1000;
      comeBack(turn, answer.retryAfterSeconds * 1000);
      return 'stop';
    case 'stale-epoch': {
      const { generation, epoch } = answer;
      condition.behind = { generation, epoch, since: now() };
      break;
    }
    case 'removal-required':
      context.repairs.require(conversationId, 'removal', now());
      break;
    case 'not-member':
      context.repairs.require(conversationId, 'join', now());
      break;
    default:
      throw new Error('Assertion failed: every refusal is a failure or a reason to seal again');
  }
  condition.attempts += 1;
  await unseal(context, conversationId, record.order);
  return 'progress';
}

type Answer = AnswerOf<typeof submitMessage>;
type Accepted = Extract<Answer, { outcome: 'accepted' }>;

function requestOf(conversationId: ConversationId, record: OutboxRecord) {
  const { sealed } = record;
  if (sealed === undefined) throw new Error('Assertion failed: only what is sealed is submitted');
  return {
    conversationId,
    generation: sealed.generation,
    epoch: sealed.epoch,
    class: record.class,
    kind: record.kind,
    clientId: record.clientId,
    commitment: sealed.commitment,
    ...(record.template === undefined ? {} : { template: record.template }),
    mls: toBase64Url(sealed.mls),
    ...(record.blobs === undefined ? {} : { blobs: record.blobs }),
  };
}

function accept(
  context: EngineContext,
  conversationId: ConversationId,
  { record, answer }: { readonly record: OutboxRecord; readonly answer: Accepted },
): Promise<void> {
  return context.lanes.enter(conversationId, async () => {
    const draft = await openDraft(context, conversationId);
    remove(draft.step, 'outbox', record.order);
    if (record.messageOrder !== undefined) await tellSent(context, draft, { record, answer });
    const sent = (draft.record?.sentSinceCommit ?? 0) + (record.class === 'message' ? 1 : 0);
    change(draft, { sentSinceCommit: sent });
    draft.step.then.push(() => {
      context.queues.drop(conversationId, record.order);
      context.repairs.of(conversationId).attempts = 0;
    });
    await storeDraft(context, draft);
  });
}

async function tellSent(
  context: EngineContext,
  draft: Draft,
  { record, answer }: { readonly record: OutboxRecord; readonly answer: Accepted },
): Promise<void> {
  const { messageOrder, sealed } = record;
  if (messageOrder === undefined || sealed === undefined) return;
  const message = await readMessage(context, draft.conversationId, messageOrder);
  if (message === undefined) return;
  // Kept to answer whoever could not open it: the commitment of the envelope that the relay took, and its key.
  const { commitment, frankingKey, readers } = sealed;
  const kept = {
    ...message,
    commitment,
    frankingKey,
    sequence: answer.sequence,
    ...(readers === undefined ? {} : { readers }),
  };
  putMessage(draft, kept);
  tellStatus(draft, kept, { status: 'sent', at: answer.acceptedAt, sequence: answer.sequence });
}

/** The relay did not take it and says why: it is sealed again in a newer state, under the same client id. */
function unseal(
  context: EngineContext,
  conversationId: ConversationId,
  order: string,
): Promise<void> {
  return context.lanes.enter(conversationId, async () => {
    const record = await readOutbox(context, order);
    if (record === undefined) return;
    const { sealed: _, ...plain } = record;
    const draft = await openDraft(context, conversationId);
    put(draft.step, 'outbox', order, encodeRecord(OutboxRecord, plain));
    await storeDraft(context, draft);
  });
}
