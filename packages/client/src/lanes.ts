// One lane per conversation: what reads and changes its state runs there, one after the other.

export type Lanes = {
  /** Runs after everything entered before under this key; a failure is the caller's and does not stop the lane. */
  enter<Result>(key: string, run: () => Promise<Result>): Promise<Result>;
  /** Resolves when no lane is busy. */
  idle(): Promise<void>;
};

export function createLanes(): Lanes {
  const tails = new Map<string, Promise<unknown>>();
  return {
    enter(key, run) {
      const before = tails.get(key) ?? Promise.resolve();
      const done = before.then(run, run);
      const tail = done.catch(() => undefined);
      tails.set(key, tail);
      void tail.then(() => {
        if (tails.get(key) === tail) tails.delete(key);
      });
      return done;
    },
    async idle() {
      while (tails.size > 0) await Promise.all(tails.values());
    },
  };
}
