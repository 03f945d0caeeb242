// CPU time of other processes, so that a bench can say which of them is the bottleneck. Linux only;
// elsewhere it is unknown.

import { readdirSync, readFileSync } from 'node:fs';

/**
 * The kernel counts for user space in hundredths of a second on every architecture (proc(5),
 * sysconf(_SC_CLK_TCK)).
 */
const ticksPerSecond = 100;

/**
 * What stands behind the name in `/proc/<pid>/stat` (proc(5)): state, parent, …; undefined when
 * there is none.
 */
function fieldsOf(pid: number): string[] | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name stands in brackets and may hold anything.
    return status.slice(status.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/**
 * User and system time of all threads; undefined when there is no such process, or no way to know.
 */
function cpuSecondsOf(pid: number): number | undefined {
  const fields = fieldsOf(pid);
  if (fields === undefined) return undefined;
  const ticks = Number(fields[11]) + Number(fields[12]);
  return Number.isFinite(ticks) ? ticks / ticksPerSecond : undefined;
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

/** A process and all that descend from it, as things stand. */
export function familyOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const parent = Number(fieldsOf(Number(entry))?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const family = [pid];
  // Grows while it is walked: no process is its own ancestor.
  for (const member of family) family.push(...(children.get(member) ?? []));
  return family;
}
