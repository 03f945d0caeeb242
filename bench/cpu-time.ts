// CPU time of other processes, so that a bench can say which of them is the bottleneck. Linux only; elsewhere it is unknown.

import { readFileSync } from 'node:fs';

/** The kernel counts for user space in hundredths of a second on every architecture (proc(5), sysconf(_SC_CLK_TCK)). */
const ticksPerSecond = 100;

/** User and system time of all threads; undefined when there is no such process, or no way to know. */
export function cpuSecondsOf(pid: number): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the name in brackets and may hold anything; utime and stime are 14 and 15.
    const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
    const ticks = Number(fields[11]) + Number(fields[12]);
    return Number.isFinite(ticks) ? ticks / ticksPerSecond : undefined;
  } catch {
    return undefined;
  }
}

/** Of several processes together, since the call; those that have ended meanwhile are left out. */
export function watchCpu(pids: readonly number[]): () => number {
  const before = new Map(pids.map((pid) => [pid, cpuSecondsOf(pid)]));
  return () =>
    pids.reduce((sum, pid) => {
      const [from, to] = [before.get(pid), cpuSecondsOf(pid)];
      return from === undefined || to === undefined ? sum : sum + to - from;
    }, 0);
}
