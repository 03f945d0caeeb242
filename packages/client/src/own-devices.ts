// The account's own devices: the conversation they share once there are two, and entering what the account is already in.

import { SiegelError } from '@siegel/protocol/errors';
import type { ConversationId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import {
  type ConversationState,
  listConversations,
  openConversation,
} from '@siegel/protocol/relay';
import { conversationRecords } from './account-views.ts';
import { adoptState } from './conversations/adopt-state.ts';
import { openDraft, storeDraft } from './conversations/draft.ts';
import { begin } from './conversations/open-target.ts';
import { fetchOwnList } from './device-list.ts';
import type { EngineContext } from './engine-context.ts';
import { engineLimits } from './engine-limits.ts';

/** Founded when a second device exists; read state, settings and drafts go there. */
export async function openOwnConversation(context: EngineContext): Promise<void> {
  const list = await fetchOwnList(context, context.identity);
  if (list.devices.length < 2) return;
  const asked = { kind: 'own' } as const;
  const answer = await context.connection.call(openConversation, { with: asked });
  if (answer.outcome !== 'to-found' && answer.outcome !== 'exists') return;
  await begin(context, answer, asked);
  context.wake(answer.state.conversationId);
}

/** Answers how many conversations this device is about to enter by external commit. */
export async function joinAllConversations(context: EngineContext): Promise<number> {
  let after: ConversationId | undefined;
  let entered = 0;
  for (;;) {
    const answer = await context.connection.call(listConversations, {
      limit: limits.pageSizeMax,
      ...(after === undefined ? {} : { after }),
    });
    if (answer.outcome === 'rate-limited') {
      throw new SiegelError('too-many-requests', 'listConversations');
    }
    for (const state of answer.conversations) {
      if (state.founded && (await enter(context, state))) entered += 1;
    }
    after = answer.conversations.at(-1)?.conversationId;
    if (!answer.more || after === undefined) return entered;
  }
}

function enter(context: EngineContext, state: ConversationState): Promise<boolean> {
  const { conversationId, roster } = state;
  return context.lanes.enter(conversationId, async () => {
    const draft = await openDraft(context, conversationId);
    const record = await adoptState(context, draft, { state });
    if (record === undefined) {
      await storeDraft(context, draft);
      return false;
    }
    if (record.joined && record.generation === state.generation) {
      const session = await context.sessions.load(conversationId, record.generation);
      if (session !== undefined) return false;
    }
    const { accountId, deviceId } = context.identity;
    const isExpected = roster.some(
      (leaf) => leaf.accountId === accountId && leaf.deviceId === deviceId,
    );
    // In the roster already: somebody added this device, and its Welcome lies in the mailbox.
    const patience = isExpected ? engineLimits.winnerMs : 0;
    draft.step.then.push(() => {
      context.repairs.require(conversationId, 'join', context.environment.now() + patience);
      context.wake(conversationId);
    });
    await storeDraft(context, draft);
    return true;
  });
}

/** After a device was taken off the list: its leaves go from every conversation, not only where somebody writes next. */
export async function removeLeavesEverywhere(context: EngineContext): Promise<void> {
  for await (const { conversationId, joined, left } of conversationRecords(context)) {
    if (!joined || left) continue;
    context.repairs.require(conversationId, 'removal', context.environment.now());
    context.wake(conversationId);
  }
}
