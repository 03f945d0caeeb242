// What a conversation needs before it can go on, kept in memory: after a restart the store's own records say it again.

import type { ConversationId } from '@siegel/protocol/ids';

/**
 * `join`: enter by external commit, because the state is lost or behind. `found`: found the next generation, because a
 * commit or the GroupInfo must be refused. `removal`: revoked leaves must go before anything is sent.
 */
export type Need = 'join' | 'found' | 'removal';

export type RepairNeed = {
  readonly need: Need;
  /** not before: the Welcome or the winner's commit may still be on its way */
  readonly notBefore: number;
};

/** How a conversation fares at the moment. */
export type Condition = {
  need: RepairNeed | undefined;
  /** failures in a row, for the back-off */
  attempts: number;
  /** nothing is tried before, unless news comes */
  notBefore: number;
  /** what was sealed is too old: nothing is sealed before the session has reached this */
  behind:
    | { readonly generation: number; readonly epoch: number; readonly since: number }
    | undefined;
  /** newest generation founded from here, against founding in a circle */
  foundedAt: number;
};

export type RepairNeeds = {
  of(conversationId: ConversationId): Condition;
  /** `found` outweighs `join`, and both outweigh `removal`; a need that stands is not put off. */
  require(conversationId: ConversationId, need: Need, notBefore: number): void;
  settle(conversationId: ConversationId): void;
  /** News came: whatever waited for it is tried at once. */
  encourage(conversationId: ConversationId): void;
};

const weight: Record<Need, number> = { removal: 0, join: 1, found: 2 };

export function createRepairNeeds(): RepairNeeds {
  const conditions = new Map<ConversationId, Condition>();
  const of = (conversationId: ConversationId): Condition => {
    const known = conditions.get(conversationId);
    if (known !== undefined) return known;
    const fresh: Condition = {
      need: undefined,
      attempts: 0,
      notBefore: 0,
      behind: undefined,
      foundedAt: 0,
    };
    conditions.set(conversationId, fresh);
    return fresh;
  };
  return {
    of,
    require(conversationId, need, notBefore) {
      const condition = of(conversationId);
      const stands = condition.need;
      if (stands !== undefined && weight[stands.need] > weight[need]) return;
      const earlier = stands?.need === need ? Math.min(stands.notBefore, notBefore) : notBefore;
      condition.need = { need, notBefore: earlier };
    },
    settle(conversationId) {
      of(conversationId).need = undefined;
    },
    encourage(conversationId) {
      const condition = of(conversationId);
      condition.notBefore = 0;
    },
  };
}
