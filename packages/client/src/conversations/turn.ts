// One turn of a conversation's worker: stages are asked in order, and each says whether it did something.

/** `progress`: begin again with the first stage; `nothing`: ask the next; `stop`: this turn is over. */
export type StageResult = 'progress' | 'nothing' | 'stop';

/** When the worker wants to come back, if nobody wakes it before. */
export type Turn = { againInMs: number | undefined };

export const createTurn = (): Turn => ({ againInMs: undefined });

export function comeBack(turn: Turn, afterMs: number): void {
  const wanted = Math.max(1, Math.ceil(afterMs));
  turn.againInMs = turn.againInMs === undefined ? wanted : Math.min(turn.againInMs, wanted);
}
