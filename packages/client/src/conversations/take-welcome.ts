// A Welcome: others added this device. It enters if the whole tree is what signed device lists allow.

import { fromBase64Url } from '@siegel/protocol/content';
import type { DeliveredWelcome } from '@siegel/protocol/relay';
import { type EngineContext, remove } from '../engine-context.ts';
import { findKeyPackage } from '../key-packages.ts';
import { askRelay, createAuthorizer } from './contacts.ts';
import { change, type Draft, tellNotice } from './draft.ts';
import { sameRoster } from './join-externally.ts';
import { forgetOldSessions, pendingKey, readPending } from './pending-commit.ts';
import type { Taken } from './taken.ts';
import { rememberTarget, targetsOf } from './targets.ts';

export async function takeWelcome(
  context: EngineContext,
  draft: Draft,
  item: DeliveredWelcome,
): Promise<Taken> {
  if (await isOld(context, draft, item)) return 'done';
  const { conversationId, generation } = item;
  const view = await askRelay(context, draft);
  if (view === undefined) return 'done';
  const welcome = fromBase64Url(item.mls);
  const references = context.engine.keyPackagesOfWelcome(welcome);
  const own = await findKeyPackage(context.store, references);
  if (own === undefined) return joinInstead(context, draft);
  const { authorize, rethrow } = createAuthorizer(context, draft);
  const joined = await context.engine.joinByWelcome({
    groupContext: { conversationId, generation },
    welcome,
    keyPackage: own.privateBytes,
    authorize,
  });
  rethrow();
  if (joined.outcome === 'refused') {
    const { now } = context.environment;
    // Not authorized means somebody sits in there whom no list allows; entering from outside would change nothing.
    const need = joined.reason === 'not-authorized' ? 'found' : 'join';
    draft.step.then.push(() => {
      context.repairs.require(conversationId, need, now());
      context.wake(conversationId);
    });
    return 'done';
  }
  const wasJoined = draft.stored?.joined === true;
  draft.step.sessions.push({ conversationId, generation, session: joined.session });
  draft.step.writes.push(...own.used);
  change(draft, {
    generation,
    joined: true,
    left: false,
    committed: false,
    answered: false,
    sentSinceCommit: 0,
    lastCommitAt: context.environment.now(),
  });
  forgetOldSessions(context, draft, generation);
  tellNotice(context, draft, { notice: wasJoined ? 'new-generation' : 'joined' });
  for (const key of draft.record === undefined ? [] : targetsOf(context, draft.record)) {
    rememberTarget(context, draft.step, { key, conversationId });
  }
  const { state } = view;
  const comparable = state.generation === generation && state.epoch === item.epoch + 1;
  const mismatch = comparable && !sameRoster(joined.delta.members, state.roster);
  if (mismatch) tellNotice(context, draft, { notice: 'roster-mismatch' });
  const pending = await readPending(context, conversationId);
  if (pending !== undefined && pending.generation <= generation && pending.form !== 'external') {
    remove(draft.step, 'outbox', pendingKey(conversationId));
  }
  draft.step.then.push(() => entered(context, draft, { mismatch, lastResort: own.lastResort }));
  return 'done';
}

/** Already in this generation, or in a later one, or deeper in it than the Welcome leads. */
async function isOld(
  context: EngineContext,
  { record }: Draft,
  item: DeliveredWelcome,
): Promise<boolean> {
  if (record?.joined !== true || record.generation < item.generation) return false;
  if (record.generation > item.generation) return true;
  const session = await context.sessions.load(item.conversationId, item.generation);
  const info = session && context.engine.sessionInfo(session);
  return info?.status === 'active' && info.epoch > item.epoch;
}

/** The private half is gone, after a restore for instance. */
function joinInstead(context: EngineContext, draft: Draft): Taken {
  const { conversationId } = draft;
  draft.step.then.push(() => {
    context.repairs.require(conversationId, 'join', context.environment.now());
    context.wake(conversationId);
  });
  return 'done';
}

function entered(
  context: EngineContext,
  { conversationId }: Draft,
  { mismatch, lastResort }: { readonly mismatch: boolean; readonly lastResort: boolean },
): void {
  const condition = context.repairs.of(conversationId);
  condition.attempts = 0;
  context.repairs.settle(conversationId);
  context.repairs.encourage(conversationId);
  if (mismatch) context.repairs.require(conversationId, 'found', context.environment.now());
  if (lastResort) context.lastResortUsed();
  context.wake(conversationId);
}
