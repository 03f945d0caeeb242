// A commit is a proposal to the relay. It is stored before it leaves, submitted as often as needed under one client id, and
// adopted only when the relay took it; the loser adopts the winner and tries again (design §3).

import type { RosterDelta, Session } from '@siegel/crypto';
import { fromBase64Url, toBase64Url } from '@siegel/protocol/content';
import type { ClientId, ConversationId } from '@siegel/protocol/ids';
import {
  type AnswerOf,
  getConversation,
  type RosterLeaf,
  submitCommit,
} from '@siegel/protocol/relay';
import { backOffMs } from '../connection/back-off.ts';
import { type EngineContext, put, remove } from '../engine-context.ts';
import { engineLimits } from '../engine-limits.ts';
import { PendingRecord } from '../engine-records.ts';
import { decodeRecord, encodeRecord } from '../record.ts';
import { isRefusedForGood } from '../refused-for-good.ts';
import { change, type Draft, openDraft, storeDraft, tellNotice } from './draft.ts';
import { comeBack, type StageResult, type Turn } from './turn.ts';

/** In the outbox: what a restart must take up again is found there. */
export const pendingPrefix = 'commit/';
export const pendingKey = (conversationId: ConversationId): string =>
  `${pendingPrefix}${conversationId}`;

export async function readPending(
  context: EngineContext,
  conversationId: ConversationId,
): Promise<PendingRecord | undefined> {
  const bytes = await context.store.get('outbox', pendingKey(conversationId));
  return bytes && decodeRecord(PendingRecord, bytes, 'pending commit');
}

export type Proposal = {
  readonly form: 'founding' | 'member' | 'external';
  readonly clientId: ClientId;
  readonly generation: number;
  readonly epoch: number;
  readonly session: Session;
  readonly commit: Uint8Array;
  readonly welcome: Uint8Array | undefined;
  readonly groupInfo: Uint8Array;
  readonly delta: RosterDelta;
};

const leavesOf = (members: RosterDelta['added']): RosterLeaf[] =>
  members.map(({ leafIndex, accountId, deviceId }) => ({ leafIndex, accountId, deviceId }));

/** Keeps a commit for submission; the next stage of the worker sends it. */
export async function proposeCommit(
  context: EngineContext,
  draft: Draft,
  { session, delta, welcome, ...proposal }: Proposal,
): Promise<void> {
  const pending: PendingRecord = {
    v: 1,
    ...proposal,
    ...(welcome === undefined ? {} : { welcome }),
    session: context.engine.encodeSession(session),
    added: leavesOf(delta.added),
    removed: leavesOf(delta.removed),
  };
  const key = pendingKey(draft.conversationId);
  put(draft.step, 'outbox', key, encodeRecord(PendingRecord, pending));
  await storeDraft(context, draft);
}

/** First stage: nothing else is committed while the fate of one commit is open. */
export async function settlePending(
  context: EngineContext,
  conversationId: ConversationId,
  turn: Turn,
): Promise<StageResult> {
  const pending = await readPending(context, conversationId);
  if (pending === undefined) return 'nothing';
  const answer = await submit(context, conversationId, pending);
  if (answer.outcome === 'rate-limited') {
    const condition = context.repairs.of(conversationId);
    condition.notBefore = context.environment.now() + answer.retryAfterSeconds * 1000;
    comeBack(turn, answer.retryAfterSeconds * 1000);
    return 'stop';
  }
  const won =
    answer.outcome === 'accepted' ||
    (answer.outcome === 'epoch-conflict' && (await isOurs(context, conversationId, pending)));
  await context.lanes.enter(conversationId, async () => {
    const draft = await openDraft(context, conversationId);
    const current = await readPending(context, conversationId);
    if (current?.clientId !== pending.clientId) return;
    if (won) adoptPending(context, draft, pending);
    else loseCommit(context, draft, { pending, answer });
    await storeDraft(context, draft);
  });
  return 'progress';
}

/** A request that is itself at fault must not stop the conversation: its commit has lost, and another one is made. */
async function submit(
  context: EngineContext,
  conversationId: ConversationId,
  pending: PendingRecord,
): Promise<AnswerOf<typeof submitCommit>> {
  try {
    return await context.connection.call(submitCommit, requestOf(conversationId, pending));
  } catch (error) {
    if (!isRefusedForGood(error)) throw error;
    context.report(error);
    return { outcome: 'roster-refused', reason: 'request' };
  }
}

const requestOf = (conversationId: ConversationId, pending: PendingRecord) => ({
  conversationId,
  clientId: pending.clientId,
  generation: pending.generation,
  epoch: pending.epoch,
  form: pending.form,
  commit: toBase64Url(pending.commit),
  ...(pending.welcome === undefined ? {} : { welcome: toBase64Url(pending.welcome) }),
  groupInfo: toBase64Url(pending.groupInfo),
  added: pending.added,
  removed: pending.removed,
});

/** A crash may have swallowed the answer: when the relay shows the very GroupInfo of this commit, this commit has won. */
async function isOurs(
  context: EngineContext,
  conversationId: ConversationId,
  pending: PendingRecord,
): Promise<boolean> {
  const answer = await context.connection.call(getConversation, { conversationId });
  if (answer.outcome !== 'conversation' || answer.groupInfo === undefined) return false;
  const { generation, epoch } = answer.state;
  if (generation !== pending.generation || epoch !== pending.epoch + 1) return false;
  return toBase64Url(pending.groupInfo) === toBase64Url(fromBase64Url(answer.groupInfo));
}

/** The relay took it: the state it leads to becomes the state. */
export function adoptPending(context: EngineContext, draft: Draft, pending: PendingRecord): void {
  const { conversationId, record } = draft;
  const session = context.engine.decodeSession(pending.session);
  const { generation, form, added, removed } = pending;
  const isNew = record?.joined !== true || record.generation !== generation;
  remove(draft.step, 'outbox', pendingKey(conversationId));
  draft.step.sessions.push({ conversationId, generation, session });
  change(draft, {
    generation,
    joined: true,
    left: false,
    committed: true,
    sentSinceCommit: 0,
    lastCommitAt: context.environment.now(),
    ...(isNew ? { answered: false } : {}),
  });
  forgetOldSessions(context, draft, generation);
  if (form === 'founding' && generation > 0)
    tellNotice(context, draft, { notice: 'new-generation' });
  if (form === 'external') tellNotice(context, draft, { notice: 'joined' });
  if (form === 'member') tellRosterChange(context, draft, { added, removed });
  draft.step.then.push(() => {
    const condition = context.repairs.of(conversationId);
    condition.attempts = 0;
    condition.behind = undefined;
    if (form === 'founding') condition.foundedAt = context.environment.now();
    context.repairs.settle(conversationId);
    context.wake(conversationId);
  });
}

/** The generation before stays, for what was sealed in it and is still on its way. */
export function forgetOldSessions(context: EngineContext, draft: Draft, generation: number): void {
  const before = draft.stored?.generation ?? generation;
  for (let old = Math.max(0, before - 1); old < generation - 1; old += 1) {
    remove(draft.step, 'session', context.sessions.keyOf(draft.conversationId, old));
  }
}

/** A line for each device that came or went; a device that entered anew is none. */
export function tellRosterChange(
  context: EngineContext,
  draft: Draft,
  {
    added,
    removed,
  }: { readonly added: readonly RosterLeaf[]; readonly removed: readonly RosterLeaf[] },
): void {
  const isIn = (leaves: readonly RosterLeaf[], leaf: RosterLeaf) =>
    leaves.some((each) => each.accountId === leaf.accountId && each.deviceId === leaf.deviceId);
  for (const leaf of added) {
    if (isIn(removed, leaf)) continue;
    tellNotice(context, draft, { notice: 'device-added', accountId: leaf.accountId });
  }
  for (const leaf of removed) {
    if (isIn(added, leaf)) continue;
    tellNotice(context, draft, { notice: 'device-removed', accountId: leaf.accountId });
  }
}

type Lost = {
  readonly pending: PendingRecord;
  readonly answer: Exclude<AnswerOf<typeof submitCommit>, { outcome: 'accepted' | 'rate-limited' }>;
};

function loseCommit(context: EngineContext, draft: Draft, { pending, answer }: Lost): void {
  const { conversationId } = draft;
  const { now } = context.environment;
  remove(draft.step, 'outbox', pendingKey(conversationId));
  if (answer.outcome === 'not-member') change(draft, { left: true, joined: false });
  draft.step.then.push(() => {
    const condition = context.repairs.of(conversationId);
    condition.attempts += 1;
    const excess = condition.attempts - engineLimits.commitAttemptsMax;
    if (excess > 0) {
      // Many commit at once: whoever lost often enough steps back.
      const { random } = context.environment;
      condition.notBefore = now() + backOffMs(engineLimits.retry, excess - 1, random());
    }
    switch (answer.outcome) {
      case 'not-member':
        context.repairs.settle(conversationId);
        break;
      case 'epoch-conflict':
        if (pending.form === 'member') {
          const { generation, epoch } = answer;
          condition.behind = { generation, epoch, since: now() };
        } else {
          // Of an equal rank: the winner's Welcome or commit is already on its way to this device.
          const patience = pending.form === 'founding' ? engineLimits.winnerMs : 0;
          context.repairs.settle(conversationId);
          context.repairs.require(conversationId, 'join', now() + patience);
        }
        break;
      case 'roster-refused':
        // Tree and roster disagree about this device's own wish: only a new generation brings them together.
        if (pending.form !== 'founding') context.repairs.require(conversationId, 'found', now());
        break;
    }
    context.wake(conversationId);
  });
}
