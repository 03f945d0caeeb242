// Founding a generation: device lists and key packages are checked against pinned account keys, then every device of all
// members enters in one commit. The first generation begins a conversation; a later one heals it.

import { inspectKeyPackage } from '@siegel/crypto';
import { fromBase64Url } from '@siegel/protocol/content';
import { SiegelError } from '@siegel/protocol/errors';
import { ClientId, type ConversationId } from '@siegel/protocol/ids';
import { claimKeyPackages, type MemberKeys } from '@siegel/protocol/relay';
import type { EngineContext } from '../engine-context.ts';
import { engineLimits } from '../engine-limits.ts';
import { freshId } from '../fresh-id.ts';
import { failMessage, readOutbox } from '../outbox.ts';
import { disputeStrangers } from './adopt-state.ts';
import { askRelay, createAuthorizer, kindsOf, learnDeviceList } from './contacts.ts';
import { change, contactOf, type Draft, openDraft, storeDraft } from './draft.ts';
import { proposeCommit } from './pending-commit.ts';
import { comeBack, type StageResult, type Turn } from './turn.ts';

/** Key packages that are what they say: of a listed device, under the pinned key. Others are left out, never added. */
async function usableKeyPackages(
  context: EngineContext,
  draft: Draft,
  members: readonly MemberKeys[],
): Promise<Uint8Array[]> {
  const usable: Uint8Array[] = [];
  const expected = draft.record === undefined ? new Map() : kindsOf(draft.record);
  const named = members.map(({ accountId }) => accountId);
  disputeStrangers(context, draft, named);
  for (const { accountId, deviceList, keyPackages } of members) {
    // Known or not: keys of a stranger are sealed to by nobody.
    if (!expected.has(accountId)) continue;
    await learnDeviceList(context, draft, deviceList, expected);
    const contact = await contactOf(context, draft, accountId);
    for (const { keyPackage } of keyPackages) {
      const bytes = fromBase64Url(keyPackage);
      const inspected = await inspectKeyPackage(bytes, { now: context.environment.now() });
      if (inspected.outcome !== 'valid' || contact === undefined) continue;
      const { sub, key, dev, leaf } = inspected.certificate;
      const isOwnDevice = sub === context.identity.accountId && dev === context.identity.deviceId;
      const isListed = contact.deviceList.devices.some(
        (device) => device.id === dev && device.leaf === leaf,
      );
      if (sub === accountId && key === contact.accountKey && isListed && !isOwnDevice) {
        usable.push(bytes);
      }
    }
  }
  return usable;
}

export type FoundingResult = 'proposed' | 'no-device' | 'refused';

/** Makes the founding commit and keeps it for submission. Runs in the conversation's lane. */
export async function proposeFounding(
  context: EngineContext,
  draft: Draft,
  { generation, members }: { readonly generation: number; readonly members: readonly MemberKeys[] },
): Promise<FoundingResult> {
  const { conversationId } = draft;
  const keyPackages = await usableKeyPackages(context, draft, members);
  // Somebody to talk to: a conversation with oneself alone is the own one.
  if (keyPackages.length === 0) return 'no-device';
  const { authorize, rethrow } = createAuthorizer(context, draft);
  const founded = await context.engine.foundGroup({
    groupContext: { conversationId, generation },
    identity: context.identity,
    keyPackages,
    authorize,
    now: context.environment.now(),
  });
  rethrow();
  if (founded.outcome === 'refused') {
    context.report(new SiegelError('seal-refused', `founding: ${founded.reason}`));
    return 'refused';
  }
  await proposeCommit(context, draft, {
    ...founded,
    welcome: founded.welcome,
    form: 'founding',
    clientId: ClientId.parse(freshId(context.provider)),
    generation,
    epoch: 0,
    commit: new Uint8Array(0),
  });
  return 'proposed';
}

/** Stage: the next generation, when a commit or a GroupInfo had to be refused. Visible, and not in a circle. */
export async function foundNextGeneration(
  context: EngineContext,
  conversationId: ConversationId,
  turn: Turn,
): Promise<StageResult> {
  const condition = context.repairs.of(conversationId);
  const { now } = context.environment;
  const pause = condition.foundedAt + engineLimits.nextGenerationMs - now();
  if (pause > 0) {
    comeBack(turn, pause);
    return 'stop';
  }
  return context.lanes.enter(conversationId, async () => {
    const draft = await openDraft(context, conversationId);
    const view = await askRelay(context, draft);
    if (view === undefined) return leave(context, draft);
    const { state } = view;
    if (draft.stored !== undefined && state.generation > draft.stored.generation) {
      // Somebody was quicker: that generation is entered instead.
      context.repairs.settle(conversationId);
      context.repairs.require(conversationId, 'join', now() + engineLimits.winnerMs);
      return 'progress';
    }
    const generation = state.generation + 1;
    const answer = await context.connection.call(claimKeyPackages, {
      conversationId,
      purpose: { kind: 'next-generation', generation },
    });
    switch (answer.outcome) {
      case 'claimed': {
        const result = await proposeFounding(context, draft, {
          generation,
          members: answer.members,
        });
        if (result === 'refused') throw new SiegelError('seal-refused', 'next generation');
        if (result === 'no-device') await giveUpQueue(context, draft);
        return 'progress';
      }
      case 'epoch-conflict':
        throw new SiegelError('overloaded', 'another generation is being founded');
      case 'not-member':
        return leave(context, draft);
      case 'undeliverable':
        await giveUpQueue(context, draft);
        return 'progress';
      case 'rate-limited':
        condition.notBefore = now() + answer.retryAfterSeconds * 1000;
        comeBack(turn, answer.retryAfterSeconds * 1000);
        return 'stop';
    }
  });
}

/** Nobody can be reached: what waits has failed, and the generation is founded when somebody can be. */
async function giveUpQueue(context: EngineContext, draft: Draft): Promise<void> {
  const { conversationId } = draft;
  for (const order of context.queues.all(conversationId)) {
    const record = await readOutbox(context, order);
    if (record !== undefined)
      await failMessage(context, draft, { record, failure: 'undeliverable' });
  }
  draft.step.then.push(() => {
    const notBefore = context.environment.now() + engineLimits.unreachableMs;
    context.repairs.settle(conversationId);
    context.repairs.require(conversationId, 'found', notBefore);
  });
  await storeDraft(context, draft);
}

/** The relay says this account is no member: nothing more is sent or repaired here. */
export async function leave(context: EngineContext, draft: Draft): Promise<StageResult> {
  const wasIn = draft.record?.left === false;
  change(draft, { left: true, joined: false });
  const { conversationId } = draft;
  if (wasIn) {
    draft.step.tell.push({
      type: 'notice',
      notice: { conversationId, notice: 'left', at: context.environment.now() },
    });
  }
  draft.step.then.push(() => context.repairs.settle(conversationId));
  await storeDraft(context, draft);
  return 'progress';
}
