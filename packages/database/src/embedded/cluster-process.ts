// Runs the programs of a cluster: initdb once, then the postmaster; and judges a postmaster that
// somebody else left behind.
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseFailure } from '../database-failure.ts';
import { type ClusterPlan, dataArgumentFor, giveAway } from './cluster-plan.ts';
import { accessRules, initdbArguments } from './cluster-settings.ts';
import type { ProcessIdentity } from './process-table.ts';
import * as processes from './process-table.ts';
import { socketPort } from './socket-folder.ts';

const initTimeoutMs = 120_000;
/** After a kill -9 the server's helpers need a moment to notice and leave. */
const leftoverTimeoutMs = 30_000;
const leftoverGraceMs = 5_000;
const logTailBytes = 4_096;

interface Command {
  readonly command: readonly string[];
  readonly workFolder: string;
  readonly logFile: string;
}

function spawnAs(mode: ClusterPlan['mode'], { command, workFolder, logFile }: Command) {
  const log = openSync(logFile, 'a', 0o600);
  chmodSync(logFile, 0o600);
  const [file, ...rest] = mode.kind === 'user-namespace' ? ['unshare', '-U', ...command] : command;
  try {
    return spawn(file!, rest, {
      cwd: workFolder,
      // A session of its own: Ctrl-C reaches the town, which then stops the server in order.
      detached: true,
      stdio: ['ignore', log, log],
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' },
      ...(mode.kind === 'nobody' ? { uid: mode.uid, gid: mode.gid } : {}),
    });
  } finally {
    closeSync(log);
  }
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
}

/** The last lines of the log; they hold no contents by the cluster's settings. */
export function logTail(logFile: string, fromByte = 0): string {
  const log = openSync(logFile, 'r');
  try {
    const start = Math.max(fromByte, fstatSync(log).size - logTailBytes);
    const buffer = Buffer.alloc(logTailBytes);
    const bytes = readSync(log, buffer, 0, logTailBytes, start);
    return buffer.toString('utf8', 0, bytes).split('\n').slice(-12).join('\n').trim();
  } finally {
    closeSync(log);
  }
}

async function waitGone(folder: string, timeoutMs: number): Promise<boolean> {
  return processes.waitUntil(() => processes.processesIn(folder).length === 0, { timeoutMs });
}

/** Makes the data folder unless it exists. Built beside and renamed: never half a cluster. */
export async function initializeOnce(plan: ClusterPlan): Promise<void> {
  const { dataFolder, initFolder, mode } = plan;
  const owner = mode.kind === 'nobody' ? mode : undefined;
  if (existsSync(dataFolder)) {
    const found = readFileSync(join(dataFolder, 'PG_VERSION'), 'utf8').trim();
    if (found !== plan.native.major) {
      const { major } = plan.native;
      const message = `${dataFolder} is of PostgreSQL ${found}, the binaries are ${major}`;
      throw new DatabaseFailure('embedded-version-mismatch', message);
    }
    chmodSync(dataFolder, 0o700);
    if (owner !== undefined) giveAway(dataFolder, owner);
    return;
  }
  // An initdb whose launcher was killed may still be at work.
  for (const leftover of processes.processesIn(initFolder)) {
    processes.signalProcess(leftover, 'SIGKILL');
  }
  await waitGone(initFolder, leftoverGraceMs);
  rmSync(initFolder, { recursive: true, force: true });
  mkdirSync(initFolder, { mode: 0o700 });
  if (owner !== undefined) chownSync(initFolder, owner.uid, owner.gid);
  const initdb = join(plan.native.folder, 'bin', 'initdb');
  const child = spawnAs(mode, {
    command: [initdb, ...initdbArguments(dataArgumentFor(mode, initFolder))],
    workFolder: initFolder,
    logFile: plan.logFile,
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), initTimeoutMs);
  const end = await exitOf(child);
  clearTimeout(timer);
  if (end !== 'exit code 0') {
    const message = `initdb ended with ${end}: ${logTail(plan.logFile)}`;
    throw new DatabaseFailure('embedded-init-failed', message);
  }
  renameSync(initFolder, dataFolder);
  const parent = openSync(dirname(dataFolder), 'r');
  fsyncSync(parent);
  closeSync(parent);
}

/** The third state: a postmaster is alive but still starting, or on its way out. */
type Postmaster = { readonly identity: ProcessIdentity; readonly ready: boolean };

/** The postmaster of this data folder, if the one its pid file names really is. */
export function findPostmaster(dataFolder: string): Postmaster | undefined {
  let lines: string[];
  try {
    lines = readFileSync(join(dataFolder, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return undefined;
  }
  const pid = Number(lines[0]);
  const identity = processes.processesIn(dataFolder).find((process) => process.pid === pid);
  return identity && { identity, ready: lines[7]?.trim() === 'ready' };
}

/** Same binary on disk, same settings: nothing would change by a restart. */
function isWhatWeWouldStart(plan: ClusterPlan, pid: number): boolean {
  return (
    processes.executableOf(pid) === realpathSync(plan.postmaster[0]!) &&
    JSON.stringify(processes.commandLineOf(pid)) === JSON.stringify(plan.postmaster)
  );
}

/** Fast shutdown (clients cut off, work kept), then immediate (recovery at the next start). */
export async function stopPostmaster(
  dataFolder: string,
  identity: ProcessIdentity,
  fastTimeoutMs: number,
): Promise<void> {
  const gone = () => !processes.isAlive(identity);
  processes.signalProcess(identity, 'SIGINT');
  if (!(await processes.waitUntil(gone, { timeoutMs: fastTimeoutMs }))) {
    processes.signalProcess(identity, 'SIGQUIT');
    if (!(await processes.waitUntil(gone, { timeoutMs: leftoverGraceMs }))) {
      processes.signalProcess(identity, 'SIGKILL');
    }
  }
  if (await waitGone(dataFolder, leftoverGraceMs)) return;
  for (const leftover of processes.processesIn(dataFolder)) {
    processes.signalProcess(leftover, 'SIGKILL');
  }
  if (await waitGone(dataFolder, leftoverGraceMs)) return;
  throw new DatabaseFailure('embedded-stop-failed', `PostgreSQL in ${dataFolder} does not stop`);
}

/**
 * What a killed predecessor left: an orphan that can be kept is returned; anything else living in
 * the data folder is stopped, and traces that would refuse the next start are removed.
 */
export async function takeOverOrphan(plan: ClusterPlan): Promise<ProcessIdentity | undefined> {
  const orphan = findPostmaster(plan.dataFolder);
  if (orphan !== undefined) {
    const keep =
      isWhatWeWouldStart(plan, orphan.identity.pid) &&
      (await processes.waitUntil(() => findPostmaster(plan.dataFolder)?.ready === true, {
        timeoutMs: leftoverGraceMs,
      }));
    if (keep && existsSync(join(plan.socketFolder, `.s.PGSQL.${socketPort}`))) {
      return orphan.identity;
    }
    await stopPostmaster(plan.dataFolder, orphan.identity, leftoverTimeoutMs);
  } else if (!(await waitGone(plan.dataFolder, leftoverGraceMs))) {
    // Helpers of a killed postmaster that did not notice: they may hold shared memory.
    for (const leftover of processes.processesIn(plan.dataFolder)) {
      processes.signalProcess(leftover, 'SIGKILL');
    }
    await waitGone(plan.dataFolder, leftoverTimeoutMs);
  }
  removeStaleTraces(plan);
  return undefined;
}

/** Nothing lives in the data folder here; a pid named in a leftover file belongs to a stranger. */
function removeStaleTraces({ dataFolder, socketFolder }: ClusterPlan): void {
  const pidFile = join(dataFolder, 'postmaster.pid');
  if (existsSync(pidFile)) {
    const pid = Number(readFileSync(pidFile, 'utf8').split('\n')[0]);
    // A server we are not allowed to look at (another container's): PostgreSQL shall refuse.
    if (processes.isOpaque(pid, 'postgres')) return;
    // With its pid free PostgreSQL itself judges the file (and checks shared memory by it).
    if (!Number.isInteger(pid) || processes.identifyProcess(pid) !== undefined) rmSync(pidFile);
  }
  const socket = join(socketFolder, `.s.PGSQL.${socketPort}`);
  rmSync(socket, { recursive: true, force: true });
  rmSync(`${socket}.lock`, { recursive: true, force: true });
}

function writeAccessRules({ dataFolder, mode }: ClusterPlan): void {
  const { hba, ident } = accessRules(mode);
  for (const [file, text] of Object.entries({ 'pg_hba.conf': hba, 'pg_ident.conf': ident })) {
    const path = join(dataFolder, file);
    writeFileSync(path, text, { mode: 0o600 });
    if (mode.kind === 'nobody') chownSync(path, mode.uid, mode.gid);
  }
}

export interface SpawnedPostmaster {
  readonly identity: ProcessIdentity | undefined;
  /** How it ended, once it has. */
  readonly ended: { reason: string | undefined };
  /** What it has written to the log since it was started. */
  readonly log: () => string;
}

export function spawnPostmaster(plan: ClusterPlan): SpawnedPostmaster {
  writeAccessRules(plan);
  const logStart = statSync(plan.logFile, { throwIfNoEntry: false })?.size ?? 0;
  const child = spawnAs(plan.mode, {
    command: plan.postmaster,
    workFolder: plan.dataFolder,
    logFile: plan.logFile,
  });
  const ended: { reason: string | undefined } = { reason: undefined };
  void exitOf(child).then((reason) => {
    ended.reason = reason;
    return undefined;
  });
  child.unref();
  const identity = child.pid === undefined ? undefined : processes.identifyProcess(child.pid);
  return { identity, ended, log: () => logTail(plan.logFile, logStart) };
}
