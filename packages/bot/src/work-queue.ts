// Runs work one by one for each person and side by side for different persons, with bounds on what
// waits and what runs.

export interface WorkQueue {
  /** Takes all of these or none: `false` when they do not fit. */
  add(items: readonly WorkItem[]): boolean;
  waiting(): number;
  /** Resolves when nothing waits and nothing runs. */
  idle(): Promise<void>;
}

export type WorkItem = {
  readonly lane: string;
  /** Must not throw. */
  readonly run: () => Promise<void>;
};

export type WorkQueueLimits = {
  readonly waitingMax: number;
  readonly waitingPerLaneMax: number;
  readonly runningMax: number;
};

export function createWorkQueue(limits: WorkQueueLimits): WorkQueue {
  const lanes = new Map<string, WorkItem[]>();
  /** Lanes that could start, in order of arrival. */
  const ready = new Set<string>();
  const running = new Set<string>();
  let waiting = 0;
  let onIdle: (() => void)[] = [];

  const fits = (items: readonly WorkItem[]): boolean => {
    if (waiting + items.length > limits.waitingMax) return false;
    const perLane = new Map<string, number>();
    for (const { lane } of items) {
      const count = (perLane.get(lane) ?? lanes.get(lane)?.length ?? 0) + 1;
      if (count > limits.waitingPerLaneMax) return false;
      perLane.set(lane, count);
    }
    return true;
  };

  const start = () => {
    for (const lane of ready) {
      if (running.size >= limits.runningMax) return;
      ready.delete(lane);
      running.add(lane);
      void runNext(lane);
    }
    if (waiting > 0 || running.size > 0) return;
    for (const resolve of onIdle) resolve();
    onIdle = [];
  };

  const runNext = async (lane: string): Promise<void> => {
    const queue = lanes.get(lane)!;
    const item = queue.shift()!;
    waiting -= 1;
    try {
      await item.run();
    } finally {
      running.delete(lane);
      // Behind the other lanes: one busy person must not starve the rest.
      if (queue.length > 0) ready.add(lane);
      else lanes.delete(lane);
      start();
    }
  };

  return {
    add(items) {
      if (!fits(items)) return false;
      for (const item of items) {
        const queue = lanes.get(item.lane) ?? [];
        lanes.set(item.lane, queue);
        queue.push(item);
        waiting += 1;
        if (!running.has(item.lane)) ready.add(item.lane);
      }
      start();
      return true;
    },
    waiting: () => waiting,
    idle: () =>
      waiting === 0 && running.size === 0
        ? Promise.resolve()
        : new Promise((resolve) => onIdle.push(resolve)),
  };
}
