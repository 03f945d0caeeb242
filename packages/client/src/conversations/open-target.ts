// Finding or founding the conversation of a target: the relay says which it is, and if nobody founded it yet, we do.

import type { ConversationId } from '@siegel/protocol/ids';
import {
  type AnswerOf,
  type ConversationState,
  type MemberKeys,
  type OpenWith,
  openConversation,
} from '@siegel/protocol/relay';
import type { FailureReason } from '../account-api.ts';
import { type EngineContext, remove } from '../engine-context.ts';
import { engineLimits } from '../engine-limits.ts';
import type { OutboxRecord } from '../engine-records.ts';
import { addToConversation, failUnplaced, hasExpired, readOutbox } from '../outbox.ts';
import { adoptState } from './adopt-state.ts';
import { kindsOf, learnDeviceList } from './contacts.ts';
import { contactOf, type Draft, openDraft, storeDraft } from './draft.ts';
import { proposeFounding } from './found-generation.ts';
import { learnCertificate } from './learn-certificate.ts';
import { readPending } from './pending-commit.ts';
import { knownConversation, openWith, rememberTarget, targetsOf } from './targets.ts';
import { comeBack, type StageResult, type Turn } from './turn.ts';

/** Stage of a target's worker: resolves it and hands its messages over to the conversation's worker. */
export async function openTarget(
  context: EngineContext,
  key: string,
  turn: Turn,
): Promise<StageResult> {
  const order = context.queues.first(key);
  if (order === undefined) return 'nothing';
  const record = await readOutbox(context, order);
  if (record === undefined) {
    context.queues.drop(key, order);
    return 'progress';
  }
  if (hasExpired(context, record)) return fail(context, record, 'expired');
  const known = await knownConversation(context, record.to);
  if (known !== undefined) return handOver(context, key, known);
  const asked = openWith(record);
  const answer = await context.connection.call(openConversation, { with: asked });
  switch (answer.outcome) {
    case 'to-found':
    case 'exists': {
      const refusal = await begin(context, answer, asked);
      if (refusal !== undefined) return fail(context, record, refusal);
      return handOver(context, key, answer.state.conversationId);
    }
    case 'undeliverable':
    case 'window-closed':
    case 'template-refused':
    case 'quota-reached':
      return fail(context, record, answer.outcome);
    case 'rate-limited':
      comeBack(turn, answer.retryAfterSeconds * 1000);
      return 'stop';
  }
}

async function fail(
  context: EngineContext,
  record: OutboxRecord,
  failure: FailureReason,
): Promise<StageResult> {
  await failUnplaced(context, { record, failure });
  return 'progress';
}

type Opened = Extract<AnswerOf<typeof openConversation>, { outcome: 'to-found' | 'exists' }>;

/** The conversation becomes known here; nobody having founded it, this device proposes to. */
export function begin(
  context: EngineContext,
  answer: Opened,
  asked: OpenWith,
): Promise<FailureReason | undefined> {
  const { state } = answer;
  return context.lanes.enter(state.conversationId, async () => {
    const draft = await openDraft(context, state.conversationId);
    const record = await adoptState(context, draft, { state, asked });
    if (record === undefined) {
      await storeDraft(context, draft);
      return 'undeliverable';
    }
    if (answer.outcome === 'to-found') return foundFirst(context, draft, answer);
    if (!record.joined) {
      // It was founded from the other side: the Welcome is on its way, or was lost long ago.
      const patience = context.environment.now() + engineLimits.winnerMs;
      draft.step.then.push(() => context.repairs.require(state.conversationId, 'join', patience));
    }
    await storeDraft(context, draft);
    return undefined;
  });
}

async function foundFirst(
  context: EngineContext,
  draft: Draft,
  {
    state,
    members,
  }: { readonly state: ConversationState; readonly members: readonly MemberKeys[] },
): Promise<FailureReason | undefined> {
  const pending = await readPending(context, state.conversationId);
  if (pending !== undefined || draft.record?.joined === true) {
    await storeDraft(context, draft);
    return undefined;
  }
  if (!(await isCertifiedBusiness(context, draft, { state, members }))) return 'undeliverable';
  const { generation } = state;
  const result = await proposeFounding(context, draft, { generation, members });
  return result === 'proposed' ? undefined : 'undeliverable';
}

/** A person writes only to the key the operator certified for that business number; a certificate may be missing, never wrong. */
async function isCertifiedBusiness(
  context: EngineContext,
  draft: Draft,
  {
    state,
    members,
  }: { readonly state: ConversationState; readonly members: readonly MemberKeys[] },
): Promise<boolean> {
  const business = draft.record?.members.find(({ kind }) => kind === 'business');
  const { phoneNumberId } = state;
  if (state.kind !== 'business' || phoneNumberId === undefined || business === undefined)
    return true;
  if (context.identity.kind === 'business') return true;
  for (const { deviceList } of members) {
    if (draft.record === undefined) break;
    await learnDeviceList(context, draft, deviceList, kindsOf(draft.record));
  }
  if ((await contactOf(context, draft, business.accountId)) === undefined) return false;
  // Expiry stops the badge, never joining (design §3).
  return (await learnCertificate(context, draft)) !== 'refused';
}

/** Everything that waited for the target joins the conversation's queue, in its order and in one commit. */
function handOver(
  context: EngineContext,
  key: string,
  conversationId: ConversationId,
): Promise<StageResult> {
  return context.lanes.enter(key, () =>
    context.lanes.enter(conversationId, async () => {
      const draft = await openDraft(context, conversationId);
      for (const order of context.queues.all(key)) {
        const record = await readOutbox(context, order);
        if (record !== undefined) await addToConversation(context, draft, record);
        remove(draft.step, 'outbox', order);
        draft.step.then.push(() => context.queues.drop(key, order));
      }
      const keys = new Set([key, ...(draft.record ? targetsOf(context, draft.record) : [])]);
      for (const each of keys) rememberTarget(context, draft.step, { key: each, conversationId });
      await storeDraft(context, draft);
      return 'progress' as const;
    }),
  );
}
