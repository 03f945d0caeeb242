// How long to wait before trying again: exponential with full jitter, so that many devices do not come back at once.

export type BackOff = { readonly firstMs: number; readonly maxMs: number };

/** `attempt` counts from 0, `random` is 0 ≤ x < 1. Between a quarter and the whole of the step, never nothing. */
export function backOffMs(backOff: BackOff, attempt: number, random: number): number {
  const step = Math.min(backOff.maxMs, backOff.firstMs * 2 ** Math.min(attempt, 20));
  return Math.round(step * (0.25 + 0.75 * random));
}
