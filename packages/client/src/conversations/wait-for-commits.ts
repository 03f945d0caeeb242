// The relay is further than this device: the winner's commit is on its way, and until it came nothing is sealed or committed.

import type { ConversationId } from '@siegel/protocol/ids';
import type { EngineContext } from '../engine-context.ts';
import { engineLimits } from '../engine-limits.ts';
import { comeBack, type StageResult, type Turn } from './turn.ts';

/** undefined when nothing has to be waited for. */
export function waitForCommits(
  context: EngineContext,
  conversationId: ConversationId,
  { generation, epoch, turn }: { generation: number; epoch: number; turn: Turn },
): StageResult | undefined {
  const condition = context.repairs.of(conversationId);
  const { behind } = condition;
  if (behind === undefined) return undefined;
  const reached =
    generation > behind.generation || (generation === behind.generation && epoch >= behind.epoch);
  if (reached) {
    condition.behind = undefined;
    return undefined;
  }
  const pause = behind.since + engineLimits.winnerMs - context.environment.now();
  if (pause > 0) {
    comeBack(turn, pause);
    return 'stop';
  }
  // The winner's commit did not come in time: this device enters anew.
  condition.behind = undefined;
  context.repairs.require(conversationId, 'join', context.environment.now());
  return 'progress';
}
