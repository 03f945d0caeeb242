// One embedded server for all test files and workers of a run: whoever needs it first starts its
// guard, the others wait for the address. The guard ends it with the run.

import { spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { DatabaseFailure } from '../database-failure.ts';
import type { DatabaseAddress } from '../embedded/embedded-postgres.ts';
import { identifyProcess, type ProcessIdentity } from '../embedded/process-table.ts';
import { errorCode } from '../error-code.ts';

export const homePrefix = 'siegel-tests-';
const startTimeoutMs = 60_000;

/** The process whose life is the run's: Vitest's main process, or this one outside Vitest. */
function runOwner(): ProcessIdentity {
  const worker = process.env['VITEST_WORKER_ID'] !== undefined && isMainThread;
  const owner = identifyProcess(worker ? process.ppid : process.pid);
  if (owner !== undefined) return owner;
  throw new DatabaseFailure('test-server-failed', 'the test run ended under its worker');
}

function startGuard(home: string, run: ProcessIdentity): void {
  const source = import.meta.url.endsWith('.ts');
  const guard = new URL(`./test-server-guard.${source ? 'ts' : 'js'}`, import.meta.url);
  const loader = source
    ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href]
    : [];
  const log = openSync(join(home, 'guard.log'), 'a', 0o600);
  const child = spawn(
    process.execPath,
    [...loader, fileURLToPath(guard), home, String(run.pid), run.startTick],
    // No options of the test runner: its loaders and inspectors are not the guard's.
    { detached: true, stdio: ['ignore', log, log], env: { PATH: process.env['PATH'] } },
  );
  closeSync(log);
  child.unref();
}

/** The address of the run's server as its administrator; starts it when it is not there. */
export async function testServer(): Promise<DatabaseAddress> {
  const run = runOwner();
  const home = join(tmpdir(), `${homePrefix}${run.pid}-${run.startTick}`);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const status = lstatSync(home);
  if (!status.isDirectory() || status.uid !== process.getuid?.()) {
    throw new DatabaseFailure('embedded-folder-unsafe', `${home} is not ours`);
  }
  chmodSync(home, 0o700);
  try {
    // Made by exactly one of the workers.
    mkdirSync(join(home, 'guard'));
    writeFileSync(join(home, 'run.json'), JSON.stringify(run), { mode: 0o600 });
    startGuard(home, run);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
  return waitForServer(home);
}

async function waitForServer(home: string): Promise<DatabaseAddress> {
  const answerFile = join(home, 'server.json');
  for (let waitedMs = 0; waitedMs < startTimeoutMs; waitedMs += 25) {
    if (existsSync(answerFile)) {
      const {
        administrator,
        failure,
      }: {
        administrator?: DatabaseAddress;
        failure?: string;
      } = JSON.parse(readFileSync(answerFile, 'utf8'));
      if (administrator !== undefined) return administrator;
      throw new DatabaseFailure('test-server-failed', failure ?? 'no address');
    }
    await delay(25);
  }
  const log = readFileSync(join(home, 'guard.log'), 'utf8').slice(-2_000);
  rmdirSync(join(home, 'guard'));
  throw new DatabaseFailure('test-server-failed', `the test server did not start: ${log}`);
}
