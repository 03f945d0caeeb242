// One launcher per cluster: a lock file naming the node process that owns it. It says whether a
// running postmaster is an orphan to adopt or belongs to a launcher that is still alive.

import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { errorCode } from '../error-code.ts';
import { identifyProcess, isAlive, type ProcessIdentity } from './process-table.ts';

const attemptsMax = 20;

export interface LauncherLock {
  release(): void;
}

function holderOf(path: string): ProcessIdentity | 'nobody' | 'missing' {
  try {
    const { pid, startTick }: ProcessIdentity = JSON.parse(readFileSync(path, 'utf8'));
    return isAlive({ pid, startTick }) ? { pid, startTick } : 'nobody';
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? 'missing' : 'nobody';
  }
}

/** Moves a stale lock away; puts it back when somebody living took it in the meantime. */
function breakStaleLock(path: string): void {
  const aside = `${path}.${randomUUID()}`;
  try {
    renameSync(path, aside);
    if (typeof holderOf(aside) === 'object') linkSync(aside, path);
  } catch (error) {
    const code = errorCode(error);
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error;
  }
  rmSync(aside, { force: true });
}

/** Returns the living holder instead of a lock when there is one (this process included). */
export function takeLauncherLock(path: string): LauncherLock | { holder: ProcessIdentity } {
  const own = identifyProcess(process.pid);
  const draft = `${path}.${randomUUID()}`;
  // A hard link appears with its content or not at all, unlike a file opened and then written.
  writeFileSync(draft, JSON.stringify(own), { mode: 0o600, flag: 'wx' });
  try {
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      try {
        linkSync(draft, path);
        return { release: () => rmSync(path, { force: true }) };
      } catch (error) {
        if (errorCode(error) !== 'EEXIST') throw error;
      }
      const holder = holderOf(path);
      if (typeof holder === 'object') return { holder };
      if (holder === 'nobody') breakStaleLock(path);
    }
    throw new Error(`launcher lock ${path} kept changing hands`);
  } finally {
    rmSync(draft, { force: true });
  }
}
