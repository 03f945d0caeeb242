// A clock the test moves: `schedule` runs only when the test lets time pass.

import type { Environment } from '../src/environment.ts';

export type TestClock = Environment & {
  /** Runs everything due within so many milliseconds, in order. */
  pass(milliseconds: number): void;
  /** Milliseconds until each thing that waits. */
  readonly waiting: readonly number[];
};

export function createTestClock(start = 1_800_000_000_000): TestClock {
  let now = start;
  let count = 0;
  const due = new Map<number, { at: number; run: () => void }>();
  return {
    now: () => now,
    random: () => 0.5,
    schedule(run, afterMs) {
      count += 1;
      const id = count;
      due.set(id, { at: now + afterMs, run });
      return () => due.delete(id);
    },
    pass(milliseconds) {
      const until = now + milliseconds;
      for (;;) {
        const next = Array.from(due)
          .filter(([, each]) => each.at <= until)
          .sort(([, a], [, b]) => a.at - b.at)[0];
        if (next === undefined) break;
        due.delete(next[0]);
        now = Math.max(now, next[1].at);
        next[1].run();
      }
      now = until;
    },
    get waiting() {
      return Array.from(due.values(), ({ at }) => at - now);
    },
  };
}

/** Waits for a condition on real input and output, with a bound. `each` may let test time pass. */
export async function until(
  condition: () => boolean,
  what: string,
  each: () => void = () => undefined,
): Promise<void> {
  const end = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
    each();
  }
}
