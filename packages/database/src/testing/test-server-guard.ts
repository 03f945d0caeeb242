// The process that owns the test server of one test run: starts it, waits for the run to end
// however it ends, stops it and removes its home. Also clears homes of runs that were killed.
// Started by test-server.ts; arguments: home, pid and start tick of the run.
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findPostmaster, stopPostmaster } from '../embedded/cluster-process.ts';
import { startEmbeddedPostgres } from '../embedded/embedded-postgres.ts';
import { isAlive, type ProcessIdentity } from '../embedded/process-table.ts';
import { homePrefix } from './test-server.ts';

const clusterName = 'tests';

function readIdentity(path: string): ProcessIdentity | undefined {
  try {
    const identity: ProcessIdentity = JSON.parse(readFileSync(path, 'utf8'));
    return identity;
  } catch {
    return undefined;
  }
}

/** Homes of dead runs whose guard was killed too. */
async function clearAbandoned(folder: string): Promise<void> {
  for (const entry of readdirSync(folder)) {
    const home = join(folder, entry);
    if (!entry.startsWith(homePrefix)) continue;
    const run = readIdentity(join(home, 'run.json'));
    if (run === undefined || isAlive(run)) continue;
    const guard = readIdentity(join(home, clusterName, 'launcher.lock'));
    if (guard !== undefined && isAlive(guard)) continue;
    const dataFolder = join(home, clusterName, 'data');
    const orphan = findPostmaster(dataFolder);
    if (orphan !== undefined) await stopPostmaster(dataFolder, orphan.identity, 5_000);
    rmSync(home, { recursive: true, force: true });
  }
}

function announce(home: string, answer: object): void {
  const draft = join(home, 'server.json.draft');
  writeFileSync(draft, JSON.stringify(answer), { mode: 0o600 });
  renameSync(draft, join(home, 'server.json'));
}

async function guard(home: string, run: ProcessIdentity): Promise<void> {
  const stop = { asked: false };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      stop.asked = true;
    });
  }
  try {
    await clearAbandoned(dirname(home));
    const cluster = await startEmbeddedPostgres({ home, name: clusterName, connectionsMax: 200 });
    announce(home, { administrator: cluster.administrator() });
    while (!stop.asked && isAlive(run) && existsSync(home)) await delay(100);
    await cluster.stop();
    rmSync(home, { recursive: true, force: true });
  } catch (error) {
    announce(home, { failure: String(error) });
    throw error;
  }
}

const [home, pid, startTick] = process.argv.slice(2);
if (home !== undefined && pid !== undefined && startTick !== undefined) {
  await guard(home, { pid: Number(pid), startTick });
}
