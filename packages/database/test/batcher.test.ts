// The batcher's promises as properties: order within a lane, bounds, and that one bad item harms
// no other.
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { createBatcher, DatabaseFailure } from '../src/index.ts';

function gate() {
  const waiting: (() => void)[] = [];
  const opened = new Promise<void>((resolve) => waiting.push(resolve));
  return { opened, open: () => waiting.forEach((resolve) => resolve()) };
}

const items = fc.array(
  fc.record({ lane: fc.constantFrom('a', 'b', 'c'), bad: fc.boolean(), ticks: fc.nat(3) }),
  { maxLength: 120 },
);

it('keeps order in a lane, bounds batches and flushes, answers each item for itself', async () => {
  await fc.assert(
    fc.asyncProperty(items, fc.integer({ min: 1, max: 9 }), async (plan, maxBatch) => {
      const applied: number[] = [];
      const underWay = new Set<string>();
      const numbered = plan.map((item, number) => ({ ...item, number }));
      const batcher = createBatcher<(typeof numbered)[number], number>({
        maxBatch,
        maxQueued: 1_000,
        maxFlushes: 2,
        lane: (item) => item.lane,
        flush: async (batch, lane) => {
          expect(batch.length).toBeLessThanOrEqual(maxBatch);
          expect(underWay.has(lane)).toBe(false);
          underWay.add(lane);
          expect(underWay.size).toBeLessThanOrEqual(2);
          for (let tick = 0; tick < (batch[0]?.ticks ?? 0); tick += 1) await Promise.resolve();
          underWay.delete(lane);
          if (batch.some(({ bad }) => bad)) throw new DatabaseFailure('query-failed', 'bad item');
          applied.push(...batch.map(({ number }) => number));
          return batch.map(({ number }) => number);
        },
      });
      const answers = numbered.map((item) =>
        batcher.submit(item).then(
          (number) => number === item.number && !item.bad,
          () => item.bad,
        ),
      );
      await batcher.drain();
      expect(batcher.queued()).toBe(0);
      expect(await Promise.all(answers)).toEqual(plan.map(() => true));
      for (const lane of ['a', 'b', 'c']) {
        const ofLane = applied.filter((number) => plan[number]?.lane === lane);
        expect(ofLane).toEqual([...ofLane].sort((x, y) => x - y));
      }
      expect(applied.length).toBe(plan.filter(({ bad }) => !bad).length);
    }),
  );
});

it('gathers what arrives while a flush is under way', async () => {
  const first = gate();
  const batches: number[][] = [];
  const batcher = createBatcher<number, number>({
    maxQueued: 100,
    flush: async (batch) => {
      batches.push([...batch]);
      if (batches.length === 1) await first.opened;
      return batch;
    },
  });
  const one = batcher.submit(1);
  await Promise.resolve();
  await Promise.resolve();
  const rest = [2, 3, 4].map((item) => batcher.submit(item));
  first.open();
  expect(await Promise.all([one, ...rest])).toEqual([1, 2, 3, 4]);
  expect(batches).toEqual([[1], [2, 3, 4]]);
});

it('refuses beyond its bound, retryably, and after closing', async () => {
  const first = gate();
  const batcher = createBatcher<number, number>({
    maxQueued: 2,
    maxBatch: 1,
    flush: async (batch) => {
      await first.opened;
      return batch;
    },
  });
  const one = batcher.submit(1);
  const two = batcher.submit(2);
  await expect(batcher.submit(3)).rejects.toMatchObject({ code: 'overloaded', retryable: true });
  const closed = batcher.close();
  await expect(batcher.submit(4)).rejects.toMatchObject({ code: 'closed', retryable: false });
  first.open();
  await closed;
  expect(await Promise.all([one, two])).toEqual([1, 2]);
});

it('gives a retryable failure to the whole batch at once', async () => {
  let flushes = 0;
  const batcher = createBatcher<number, number>({
    maxQueued: 10,
    flush: async () => {
      flushes += 1;
      throw new DatabaseFailure('database-unavailable', 'gone', { retryable: true });
    },
  });
  const answers = await Promise.allSettled([1, 2, 3].map((item) => batcher.submit(item)));
  expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(flushes).toBe(1);
});

it('does not run anything twice when flush answers too few results', async () => {
  let flushes = 0;
  const batcher = createBatcher<number, number>({
    maxQueued: 10,
    flush: async () => {
      flushes += 1;
      return [1];
    },
  });
  const answers = await Promise.allSettled([1, 2].map((item) => batcher.submit(item)));
  expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(flushes).toBe(1);
});
