// Work nobody asked for: what has ended is removed, what a crash cut short is finished. One run of a job at a time.

import type { Events } from './events.ts';

export type Job = {
  readonly name: string;
  readonly everySeconds: number;
  readonly run: () => Promise<unknown>;
};

export type Upkeep = {
  /** Every job once, now; for the start and for tests. Failures are logged and tried again later. */
  readonly runAll: () => Promise<void>;
  readonly start: () => void;
  /** Resolves when no job runs any more. */
  readonly stop: () => Promise<void>;
};

export function createUpkeep(jobs: readonly Job[], events: Events): Upkeep {
  const running = new Map<string, Promise<void>>();
  const timers: NodeJS.Timeout[] = [];

  function run(job: Job): Promise<void> {
    const before = running.get(job.name);
    if (before !== undefined) return before;
    const now = attempt(job, events).finally(() => running.delete(job.name));
    running.set(job.name, now);
    return now;
  }

  return {
    runAll: async () => {
      for (const job of jobs) await run(job);
    },
    start: () => {
      for (const job of jobs) {
        const timer = setInterval(() => void run(job), job.everySeconds * 1000);
        timer.unref();
        timers.push(timer);
      }
    },
    stop: async () => {
      for (const timer of timers) clearInterval(timer);
      await Promise.all(running.values());
    },
  };
}

async function attempt(job: Job, events: Events): Promise<void> {
  try {
    await job.run();
  } catch (failure) {
    events.backgroundFailed(job.name, failure);
  }
}
