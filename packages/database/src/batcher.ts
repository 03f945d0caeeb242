// Gathers work while a statement is under way, so that a busy database gets few large statements
// and a quiet one small ones at once. Stands between the submit handler and the hot functions.
import assert from 'node:assert/strict';
import { DatabaseFailure, isRetryable } from './database-failure.ts';

export interface BatcherOptions<Item, Result> {
  /**
   * One result per item, in order. When it throws, it must have applied nothing, or be harmless
   * to repeat: the items of a batch refused for good are tried again one by one.
   */
  readonly flush: (items: readonly Item[], lane: string) => Promise<readonly Result[]>;
  readonly maxBatch?: number;
  /** Waiting items over all lanes at most; beyond it `overloaded`. */
  readonly maxQueued: number;
  /** Items of one lane are flushed in order, one batch at a time; lanes are independent. */
  readonly lane?: (item: Item) => string;
  /** Flushes under way at most, over all lanes. */
  readonly maxFlushes?: number;
}

export interface Batcher<Item, Result> {
  submit(item: Item): Promise<Result>;
  /** Items not yet handed to flush. */
  queued(): number;
  /** Resolves when everything submitted so far and meanwhile has its answer. */
  drain(): Promise<void>;
  /** Refuses new items, then drains. Idempotent. */
  close(): Promise<void>;
}

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

async function flushBatch<Item, Result>(
  flush: (items: readonly Item[]) => Promise<readonly Result[]>,
  batch: readonly Waiting<Item, Result>[],
): Promise<void> {
  let results: readonly Result[];
  try {
    results = await flush(batch.map(({ item }) => item));
  } catch (error) {
    if (batch.length > 1 && !isRetryable(error)) return flushOneByOne(flush, batch);
    for (const { reject } of batch) reject(error);
    return;
  }
  if (results.length === batch.length) {
    for (const [index, { resolve }] of batch.entries()) resolve(results[index]!);
    return;
  }
  // A bug of flush, after it may have applied the work: never repeated.
  const message = `flush answered ${results.length} results for ${batch.length} items`;
  for (const { reject } of batch) reject(new assert.AssertionError({ message }));
}

/** Finds the bad item. When the database breaks on the way, the rest is refused untried. */
async function flushOneByOne<Item, Result>(
  flush: (items: readonly Item[]) => Promise<readonly Result[]>,
  batch: readonly Waiting<Item, Result>[],
): Promise<void> {
  for (const [index, waiting] of batch.entries()) {
    let broken: unknown;
    const watched = {
      ...waiting,
      reject: (error: unknown) => {
        if (isRetryable(error)) broken = error;
        waiting.reject(error);
      },
    };
    await flushBatch(flush, [watched]);
    if (broken === undefined) continue;
    for (const { reject } of batch.slice(index + 1)) reject(broken);
    return;
  }
}

export function createBatcher<Item, Result>(
  options: BatcherOptions<Item, Result>,
): Batcher<Item, Result> {
  const { flush, maxQueued, lane = () => '', maxBatch = 64, maxFlushes = 8 } = options;
  assert(maxBatch >= 1 && maxQueued >= 1 && maxFlushes >= 1, 'a batcher needs room');
  const lanes = new Map<string, Waiting<Item, Result>[]>();
  /** Lanes with waiting items and no flush under way, in order of arrival. */
  const ready = new Set<string>();
  const busy = new Set<string>();
  const idle: (() => void)[] = [];
  let queued = 0;
  let closed = false;

  function startFlushes(): void {
    for (const name of ready) {
      if (busy.size >= maxFlushes) return;
      ready.delete(name);
      busy.add(name);
      void flushLane(name);
    }
    if (busy.size === 0) {
      for (const resolve of idle.splice(0)) resolve();
    }
  }

  async function flushLane(name: string): Promise<void> {
    // Everything submitted in the same turn of the event loop travels together.
    await Promise.resolve();
    const waiting = lanes.get(name)!;
    const batch = waiting.splice(0, maxBatch);
    queued -= batch.length;
    await flushBatch(async (items) => flush(items, name), batch);
    busy.delete(name);
    // Behind the other lanes: a busy lane must not starve them.
    if (waiting.length > 0) ready.add(name);
    else lanes.delete(name);
    startFlushes();
  }

  function submit(item: Item): Promise<Result> {
    if (closed) return Promise.reject(new DatabaseFailure('closed', 'the batcher is closed'));
    if (queued >= maxQueued) {
      const message = `${maxQueued} items already wait`;
      return Promise.reject(new DatabaseFailure('overloaded', message, { retryable: true }));
    }
    const name = lane(item);
    return new Promise((resolve, reject) => {
      const waiting = lanes.get(name) ?? [];
      lanes.set(name, waiting);
      waiting.push({ item, resolve, reject });
      queued += 1;
      if (!busy.has(name)) ready.add(name);
      startFlushes();
    });
  }

  function drain(): Promise<void> {
    if (busy.size === 0 && ready.size === 0) return Promise.resolve();
    return new Promise((resolve) => idle.push(resolve));
  }

  return {
    submit,
    drain,
    queued: () => queued,
    close: () => {
      closed = true;
      return drain();
    },
  };
}
