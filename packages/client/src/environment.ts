// What an account needs of the platform it runs on, handed in by the entry points: time, chance and waiting.

/** Undoes a `schedule`; doing so twice, or too late, is harmless. */
export type Cancel = () => void;

export type Environment = {
  /** milliseconds since 1970 */
  readonly now: () => number;
  /** 0 ≤ x < 1, for jitter only; keys come from the crypto provider */
  readonly random: () => number;
  /** Runs once, `afterMs` from now. */
  readonly schedule: (run: () => void, afterMs: number) => Cancel;
};

/** A promise that keeps `schedule`'s time. `signal` ends the wait early, without an error. */
export function wait(
  environment: Environment,
  afterMs: number,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const done = () => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = environment.schedule(done, afterMs);
    signal?.addEventListener('abort', done, { once: true });
  });
}
