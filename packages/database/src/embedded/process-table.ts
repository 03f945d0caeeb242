// What the kernel knows about processes: who is alive, who works inside a folder. The launcher
// asks here instead of trusting pid files, because a pid may have been given to somebody else.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode } from '../error-code.ts';

/** A pid with the kernel's start tick, so that a reused pid is another process. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTick: string;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function follow(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** Undefined when the process is gone or only waits for its parent to collect it. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The second field is the name in parentheses and may itself contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTick] = [fields[0], fields[19]];
  if (state === 'Z' || state === 'X' || startTick === undefined) return undefined;
  return { pid, startTick };
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startTick === identity.startTick;
}

/** Processes whose working folder is this one; PostgreSQL's always is its data folder. */
export function processesIn(folder: string): ProcessIdentity[] {
  const found: ProcessIdentity[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    if (follow(`/proc/${pid}/cwd`) !== folder) continue;
    const identity = identifyProcess(pid);
    if (identity !== undefined) found.push(identity);
  }
  return found;
}

/** A living process of this name whose working folder the kernel does not show us. */
export function isOpaque(pid: number, name: string): boolean {
  if (identifyProcess(pid) === undefined || follow(`/proc/${pid}/cwd`) !== undefined) return false;
  return read(`/proc/${pid}/comm`)?.trim() === name;
}

export function commandLineOf(pid: number): string[] {
  return (read(`/proc/${pid}/cmdline`) ?? '').split('\0').slice(0, -1);
}

export function executableOf(pid: number): string | undefined {
  return follow(`/proc/${pid}/exe`);
}

/** Does nothing when the process is already gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, signal);
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}

/** Waits on a condition, bounded; false when it did not come true in time. */
export async function waitUntil(
  condition: () => boolean,
  limit: { readonly timeoutMs: number; readonly everyMs?: number },
): Promise<boolean> {
  const everyMs = limit.everyMs ?? 25;
  for (let waitedMs = 0; waitedMs <= limit.timeoutMs; waitedMs += everyMs) {
    if (condition()) return true;
    await delay(everyMs);
  }
  return condition();
}
