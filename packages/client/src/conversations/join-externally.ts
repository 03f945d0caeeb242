// Entering by oneself: a new own device, a device whose state was lost, one that fell behind (RFC 9420 §12.4.3.2).

import { fromBase64Url } from '@siegel/protocol/content';
import { SiegelError } from '@siegel/protocol/errors';
import { ClientId, type ConversationId } from '@siegel/protocol/ids';
import type { ConversationState, RosterLeaf } from '@siegel/protocol/relay';
import type { EngineContext } from '../engine-context.ts';
import { engineLimits } from '../engine-limits.ts';
import { freshId } from '../fresh-id.ts';
import { askRelay, createAuthorizer } from './contacts.ts';
import { type Draft, openDraft, storeDraft, tellNotice } from './draft.ts';
import { leave } from './found-generation.ts';
import { proposeCommit } from './pending-commit.ts';
import type { StageResult } from './turn.ts';

/** Stage: an external commit into the newest epoch; a GroupInfo that is no good asks for the next generation. */
export function joinExternally(
  context: EngineContext,
  conversationId: ConversationId,
): Promise<StageResult> {
  return context.lanes.enter(conversationId, async () => {
    const draft = await openDraft(context, conversationId);
    const view = await askRelay(context, draft);
    if (view === undefined) return leave(context, draft);
    const { state, groupInfo } = view;
    if (await isCurrent(context, state)) {
      context.repairs.settle(conversationId);
      await storeDraft(context, draft);
      return 'progress';
    }
    if (groupInfo === undefined) {
      // Begun but never founded: whoever writes next founds it.
      context.repairs.settle(conversationId);
      await storeDraft(context, draft);
      return 'progress';
    }
    const { authorize, rethrow } = createAuthorizer(context, draft);
    const joined = await context.engine.joinByExternalCommit({
      groupContext: { conversationId, generation: state.generation },
      groupInfo: fromBase64Url(groupInfo),
      identity: context.identity,
      clientId: ClientId.parse(freshId(context.provider)),
      authorize,
      now: context.environment.now(),
    });
    rethrow();
    if (joined.outcome === 'refused') {
      context.report(new SiegelError('open-refused', `GroupInfo: ${joined.reason}`));
      await storeDraft(context, draft);
      requireNextGeneration(context, conversationId);
      return 'progress';
    }
    if (joined.epoch !== state.epoch) return takeTornView(context, draft);
    const before = joined.delta.members.filter(
      (member) => !joined.delta.added.some(({ leafIndex }) => leafIndex === member.leafIndex),
    );
    if (!sameRoster([...before, ...joined.delta.removed], state.roster)) {
      tellNotice(context, draft, { notice: 'roster-mismatch' });
      await storeDraft(context, draft);
      requireNextGeneration(context, conversationId);
      return 'progress';
    }
    await proposeCommit(context, draft, {
      ...joined,
      form: 'external',
      clientId: joined.header.clientId,
      generation: state.generation,
      welcome: undefined,
    });
    return 'progress';
  });
}

/** State and GroupInfo were read while a commit came between them; if that goes on, the relay lies. */
async function takeTornView(context: EngineContext, draft: Draft): Promise<StageResult> {
  const { conversationId } = draft;
  if (context.repairs.of(conversationId).attempts < engineLimits.commitAttemptsMax) {
    throw new SiegelError('overloaded', 'GroupInfo of another epoch');
  }
  await storeDraft(context, draft);
  requireNextGeneration(context, conversationId);
  return 'progress';
}

function requireNextGeneration(context: EngineContext, conversationId: ConversationId): void {
  context.repairs.settle(conversationId);
  context.repairs.require(conversationId, 'found', context.environment.now());
}

/** This device already stands where the relay stands: the Welcome or the winner's commit came meanwhile. */
async function isCurrent(context: EngineContext, state: ConversationState): Promise<boolean> {
  const session = await context.sessions.load(state.conversationId, state.generation);
  if (session === undefined) return false;
  const info = context.engine.sessionInfo(session);
  const { accountId, deviceId } = context.identity;
  return (
    info.status === 'active' &&
    info.epoch === state.epoch &&
    state.roster.some((leaf) => leaf.accountId === accountId && leaf.deviceId === deviceId)
  );
}

/** Tree and roster name the same devices at the same places. */
export function sameRoster(tree: readonly RosterLeaf[], roster: readonly RosterLeaf[]): boolean {
  const named = (leaves: readonly RosterLeaf[]) =>
    new Set(leaves.map((leaf) => `${leaf.leafIndex} ${leaf.accountId} ${leaf.deviceId}`));
  const inTree = named(tree);
  const inRoster = named(roster);
  return inTree.size === inRoster.size && [...inTree].every((leaf) => inRoster.has(leaf));
}
