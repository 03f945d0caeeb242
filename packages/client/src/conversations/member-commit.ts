// Commits of a member: revoked leaves go before anything is sent, and keys are healed on the first answer, after a week or
// two hundred messages (e2ee.md §8).

import { leavesToRemove, type Session } from '@siegel/crypto';
import { SiegelError } from '@siegel/protocol/errors';
import { ClientId, type ConversationId } from '@siegel/protocol/ids';
import type { EngineContext } from '../engine-context.ts';
import { engineLimits } from '../engine-limits.ts';
import type { ConversationRecord } from '../engine-records.ts';
import { freshId } from '../fresh-id.ts';
import { askRelay, commitContext, createAuthorizer } from './contacts.ts';
import { type Draft, openDraft, storeDraft } from './draft.ts';
import { leave } from './found-generation.ts';
import { proposeCommit } from './pending-commit.ts';
import type { StageResult, Turn } from './turn.ts';
import { waitForCommits } from './wait-for-commits.ts';

/** Stage: commits the removal of every leaf that is on no current list. */
export function removeRevoked(
  context: EngineContext,
  conversationId: ConversationId,
): Promise<StageResult> {
  return context.lanes.enter(conversationId, async () => {
    const draft = await openDraft(context, conversationId);
    const view = await askRelay(context, draft);
    if (view === undefined) return leave(context, draft);
    const { state } = view;
    const session = await context.sessions.load(conversationId, state.generation);
    const info = session && context.engine.sessionInfo(session);
    if (session === undefined || info?.status !== 'active') {
      draft.step.then.push(() => {
        context.repairs.settle(conversationId);
        context.repairs.require(conversationId, 'join', context.environment.now());
      });
      await storeDraft(context, draft);
      return 'progress';
    }
    if (info.epoch < state.epoch) {
      // Somebody commits already, perhaps this very removal.
      const { generation, epoch } = state;
      const since = context.environment.now();
      context.repairs.of(conversationId).behind = { generation, epoch, since };
      context.repairs.settle(conversationId);
      await storeDraft(context, draft);
      return 'progress';
    }
    const own = info.own?.leafIndex;
    const unlisted = leavesToRemove(info.members, await commitContext(context, draft));
    const remove = unlisted.map(({ leafIndex }) => leafIndex).filter((index) => index !== own);
    if (remove.length === 0) {
      context.repairs.settle(conversationId);
      await storeDraft(context, draft);
      if (state.revoked.length === 0) return 'progress';
      // The relay wants leaves gone that their account still lists: not ours to believe.
      throw new SiegelError('relay-refused', 'revoked leaves are on a signed list');
    }
    await proposeMemberCommit(context, draft, { session, remove });
    return 'progress';
  });
}

/** Stage: heals this device's keys when it is time, after everything else is done. */
export async function refreshIfDue(
  context: EngineContext,
  conversationId: ConversationId,
  turn: Turn,
): Promise<StageResult> {
  return context.lanes.enter(conversationId, async () => {
    const draft = await openDraft(context, conversationId);
    const { record } = draft;
    if (record?.joined !== true || record.left) return 'nothing';
    if (record.sentSinceCommit === 0) return 'nothing';
    const session = await context.sessions.load(conversationId, record.generation);
    if (session === undefined) return 'nothing';
    const { generation } = record;
    const { epoch, own } = context.engine.sessionInfo(session);
    const isRenewed = own !== undefined && own.certificate !== context.identity.certificate;
    if (!isRenewed && !isRefreshDue(record, context.environment.now())) return 'nothing';
    const waiting = waitForCommits(context, conversationId, { generation, epoch, turn });
    if (waiting !== undefined) return waiting;
    await proposeMemberCommit(context, draft, { session, remove: [] });
    return 'progress';
  });
}

/** Notifications alone never commit: without an answer only age and number count, and only when something is sent. */
export function isRefreshDue(record: ConversationRecord, now: number): boolean {
  if (record.sentSinceCommit === 0) return false;
  return (
    (record.answered && !record.committed) ||
    record.sentSinceCommit >= engineLimits.refreshMessages ||
    now - record.lastCommitAt >= engineLimits.refreshMs
  );
}

export async function proposeMemberCommit(
  context: EngineContext,
  draft: Draft,
  { session, remove }: { readonly session: Session; readonly remove: readonly number[] },
): Promise<void> {
  const info = context.engine.sessionInfo(session);
  const { authorize, rethrow } = createAuthorizer(context, draft);
  const { certificate } = context.identity;
  const made = await context.engine.commitChanges(session, {
    clientId: ClientId.parse(freshId(context.provider)),
    remove,
    ...(info.own?.certificate === certificate ? {} : { certificate }),
    authorize,
    now: context.environment.now(),
  });
  rethrow();
  if (made.outcome === 'refused') {
    throw new SiegelError('seal-refused', `commit: ${made.reason} ${made.policy ?? ''}`);
  }
  await proposeCommit(context, draft, {
    ...made,
    form: 'member',
    clientId: made.header.clientId,
    generation: info.generation,
  });
}
