// One process per folder: a lock file that names its holder, and is taken over when that holder no
// longer lives.
import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { SiegelError } from '@siegel/protocol/errors';
import { identify, isAlive, type ProcessIdentity } from './process-identity.ts';

const attemptsMax = 10;

export type ProcessLock = { release(): void };

function isIdentity(value: unknown): value is ProcessIdentity {
  return typeof value === 'object' && value !== null && 'pid' in value && 'started' in value;
}

function holderOf(path: string): ProcessIdentity | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return isIdentity(value) && isAlive(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Moves a dead holder's file away; puts it back when somebody living took the lock meanwhile. */
function breakStale(path: string): void {
  const aside = `${path}.${randomUUID()}`;
  try {
    renameSync(path, aside);
    if (holderOf(aside) !== undefined) linkSync(aside, path);
  } catch {
    // Somebody else was quicker; the next attempt sees who.
  }
  rmSync(aside, { force: true });
}

const heldBy = (path: string, holder: ProcessIdentity): SiegelError =>
  new SiegelError('state-conflict', `${path} is held by process ${holder.pid}.`);

/** @throws SiegelError `state-conflict`, naming the living holder */
export function takeProcessLock(path: string): ProcessLock {
  const draft = `${path}.${randomUUID()}`;
  writeFileSync(draft, JSON.stringify(identify(process.pid)), { mode: 0o600, flag: 'wx' });
  try {
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const holder = holderOf(path);
      if (holder !== undefined) throw heldBy(path, holder);
      try {
        // A link appears whole or not at all.
        linkSync(draft, path);
        return { release: () => rmSync(path, { force: true }) };
      } catch {
        if (holderOf(path) === undefined) breakStale(path);
      }
    }
    throw new SiegelError('state-conflict', `${path} kept changing hands.`);
  } finally {
    rmSync(draft, { force: true });
  }
}
