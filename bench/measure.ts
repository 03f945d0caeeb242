// Repetitions on the clock that other work on the machine disturbs least: the CPU time of this
// process, all threads.

import { profiled } from './profile.ts';
import type { Bench } from './record.ts';

export type Repeated<Prepared> = {
  readonly metric: string;
  readonly subject?: string;
  readonly note?: string;
  readonly runs?: number;
  /** Not on the clock. */
  readonly prepare: () => Promise<Prepared> | Prepared;
  /** Answers how many operations it did. */
  readonly work: (prepared: Prepared) => Promise<number>;
};

/** Enough for the compiler to have seen the hot loops. */
const warmUps = 3;

/** Operations per second of CPU time; the first repetitions warm up and do not count. */
export async function measurePerCoreSecond<Prepared>(
  bench: Bench,
  repeated: Repeated<Prepared>,
): Promise<void> {
  const { metric, subject, note, runs = 7, prepare, work } = repeated;
  for (let run = 0; run < warmUps; run += 1) await work(await prepare());
  const prepared: Prepared[] = [];
  while (prepared.length < runs) prepared.push(await prepare());
  const values: number[] = [];
  const measureAll = async () => {
    for (const one of prepared) {
      const before = process.cpuUsage();
      const operations = await work(one);
      values.push(operations / cpuSecondsSince(before));
    }
  };
  await (bench.profiling
    ? profiled(`${subject ?? 'siegel'}, ${metric}`, measureAll)
    : measureAll());
  bench.measured({
    metric,
    values,
    unit: 'per core-second',
    ...(subject === undefined ? {} : { subject }),
    ...(note === undefined ? {} : { note }),
  });
}

export function cpuSecondsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}
