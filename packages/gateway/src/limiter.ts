// Lets so many run at once and so many wait; the next is turned away at once.

export type Limiter = {
  /** `full` without running anything when too many wait already. */
  run<Result>(work: () => Promise<Result>): Promise<{ result: Result } | 'full'>;
};

export function createLimiter(atOnce: number, waitingMax: number): Limiter {
  const waiting: (() => void)[] = [];
  let running = 0;
  return {
    async run(work) {
      if (running >= atOnce) {
        if (waiting.length >= waitingMax) return 'full';
        await new Promise<void>((resolve) => waiting.push(resolve));
      } else {
        running += 1;
      }
      try {
        return { result: await work() };
      } finally {
        // The place is handed on, so nobody who comes later overtakes.
        const next = waiting.shift();
        if (next === undefined) running -= 1;
        else next();
      }
    },
  };
}
