// Keeps one worker per conversation going and a bounded number at the same time. A worker that must wait gives its place
// away and comes again by the clock, or at once when somebody wakes it.

import type { Cancel, Environment } from './environment.ts';

export type Workers = {
  /** There is something to do for this key now. */
  wake(key: string): void;
  /** No worker runs or waits for its place; those that wait for the clock do not count. */
  idle(): Promise<void>;
  /** Starts nothing new and waits for those at work. */
  close(): Promise<void>;
};

export type WorkersOptions = Pick<Environment, 'schedule'> & {
  readonly parallelMax: number;
  /** Answers after how many milliseconds it wants to run again, or undefined. Never throws. */
  readonly run: (key: string) => Promise<number | undefined>;
};

type Worker = { running: boolean; wanted: boolean; cancel: Cancel | undefined };

export function createWorkers({ parallelMax, run, schedule }: WorkersOptions): Workers {
  const workers = new Map<string, Worker>();
  const ready: string[] = [];
  const waiting: (() => void)[] = [];
  let running = 0;
  let closed = false;

  const tellIdle = () => {
    if (running === 0 && (closed || ready.length === 0)) {
      for (const told of waiting.splice(0)) told();
    }
  };

  const work = async (key: string, worker: Worker) => {
    worker.running = true;
    worker.wanted = false;
    running += 1;
    const again = await run(key);
    running -= 1;
    worker.running = false;
    if (closed) workers.delete(key);
    else if (worker.wanted) ready.push(key);
    else if (again === undefined) workers.delete(key);
    else worker.cancel = schedule(() => wake(key), again);
    fill();
  };

  const fill = () => {
    while (!closed && running < parallelMax) {
      const key = ready.shift();
      if (key === undefined) break;
      void work(key, workers.get(key)!);
    }
    tellIdle();
  };

  const wake = (key: string) => {
    if (closed) return;
    const known = workers.get(key);
    const worker = known ?? { running: false, wanted: false, cancel: undefined };
    workers.set(key, worker);
    worker.cancel?.();
    worker.cancel = undefined;
    if (worker.wanted) return;
    worker.wanted = true;
    if (!worker.running) ready.push(key);
    fill();
  };

  const idle = (): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      tellIdle();
    });

  return {
    wake,
    idle,
    async close() {
      closed = true;
      for (const worker of workers.values()) worker.cancel?.();
      ready.length = 0;
      await idle();
    },
  };
}
