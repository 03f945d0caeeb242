// The worker of one conversation: stage by stage, what must come first comes first. Failures that may pass are tried again
// with back-off; nothing is given up but by the rules of the stages.

import type { ConversationId } from '@siegel/protocol/ids';
import { backOffMs } from './connection/back-off.ts';
import { foundNextGeneration } from './conversations/found-generation.ts';
import { joinExternally } from './conversations/join-externally.ts';
import { refreshIfDue, removeRevoked } from './conversations/member-commit.ts';
import { openTarget } from './conversations/open-target.ts';
import { settlePending } from './conversations/pending-commit.ts';
import { sendHead } from './conversations/send-head.ts';
import { sendTyping } from './conversations/send-typing.ts';
import { drainParked } from './conversations/take-item.ts';
import { isTargetKey } from './conversations/targets.ts';
import { comeBack, createTurn, type StageResult, type Turn } from './conversations/turn.ts';
import type { EngineContext } from './engine-context.ts';
import { engineLimits } from './engine-limits.ts';
import { flushReceipts } from './receipts.ts';
import { requestResends } from './resend.ts';

type Stage = (
  context: EngineContext,
  conversationId: ConversationId,
  turn: Turn,
) => Promise<StageResult>;

const stages: readonly Stage[] = [
  settlePending,
  repair,
  drainParked,
  sendHead,
  sendTyping,
  requestResends,
  flushReceipts,
  refreshIfDue,
];

/** Answers after how many milliseconds the worker wants its next turn. Never throws. */
export async function runWorker(context: EngineContext, key: string): Promise<number | undefined> {
  const turn = createTurn();
  const condition = context.repairs.of(key as ConversationId);
  const pause = condition.notBefore - context.environment.now();
  if (pause > 0) return pause;
  try {
    const run = isTargetKey(key)
      ? () => openTarget(context, key, turn)
      : () => runStages(context, key as ConversationId, turn);
    for (let step = 0; step < engineLimits.stepsPerTurn; step += 1) {
      if (context.closing.aborted) return undefined;
      const result = await run();
      if (result !== 'progress') return turn.againInMs;
    }
    comeBack(turn, 1);
  } catch (error) {
    if (context.closing.aborted) return undefined;
    context.report(error);
    const retryMs = backOffMs(engineLimits.retry, condition.attempts, context.environment.random());
    condition.attempts += 1;
    condition.notBefore = context.environment.now() + retryMs;
    comeBack(turn, retryMs);
  }
  return turn.againInMs;
}

async function runStages(
  context: EngineContext,
  conversationId: ConversationId,
  turn: Turn,
): Promise<StageResult> {
  for (const stage of stages) {
    const result = await stage(context, conversationId, turn);
    if (result !== 'nothing') return result;
  }
  return 'nothing';
}

async function repair(
  context: EngineContext,
  conversationId: ConversationId,
  turn: Turn,
): Promise<StageResult> {
  const { need } = context.repairs.of(conversationId);
  if (need === undefined) return 'nothing';
  const pause = need.notBefore - context.environment.now();
  if (pause > 0) {
    comeBack(turn, pause);
    return 'stop';
  }
  switch (need.need) {
    case 'removal':
      return removeRevoked(context, conversationId);
    case 'join':
      return joinExternally(context, conversationId);
    case 'found':
      return foundNextGeneration(context, conversationId, turn);
  }
}
