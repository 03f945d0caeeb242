// The embedded default: a real PostgreSQL from npm under our own launcher, for everyone who sets
// no DATABASE_URL. It adopts or clears what a killed predecessor left, keeps the server alive and
// stops it in order.

import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { DatabaseFailure } from '../database-failure.ts';
import { type ClusterPlan, planCluster, prepareClusterFolder } from './cluster-plan.ts';
import {
  findPostmaster,
  initializeOnce,
  logTail,
  spawnPostmaster,
  stopPostmaster,
  takeOverOrphan,
} from './cluster-process.ts';
import { superuser } from './cluster-settings.ts';
import { type LauncherLock, takeLauncherLock } from './launcher-lock.ts';
import { findNativeBinaries } from './native-binaries.ts';
import { isAlive, type ProcessIdentity, signalProcess } from './process-table.ts';
import { socketPort } from './socket-folder.ts';

/** Accepted by `pg`, and by `connectDatabase`. */
export interface DatabaseAddress {
  /** Host name, or the folder of the unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

export type ClusterEvent =
  | { readonly kind: 'died' }
  | { readonly kind: 'restarted' }
  | { readonly kind: 'gave-up'; readonly cause: unknown };

export interface EmbeddedPostgresOptions {
  /** Data folder of the installation; several clusters coexist in one home. */
  readonly home: string;
  readonly name: string;
  readonly connectionsMax?: number;
  readonly sharedBuffersMegabytes?: number;
  readonly startTimeoutSeconds?: number;
  readonly stopTimeoutSeconds?: number;
  /** Starts the server again when it dies by itself; on unless false. */
  readonly restart?: boolean;
  readonly onEvent?: (event: ClusterEvent) => void;
}

export interface EmbeddedPostgres {
  readonly name: string;
  readonly launchMode: 'plain' | 'user-namespace' | 'nobody';
  /** True when an orphan of a killed predecessor was kept running. */
  readonly adopted: boolean;
  readonly logFile: string;
  /** The postmaster's; changes after a restart. */
  pid(): number;
  /** Address of a database for the cluster's administrator; `postgres` unless named. */
  administrator(database?: string): DatabaseAddress;
  /** Idempotent. Afterwards no process of the cluster is left. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const startRetryMs = 250;
const startAttemptsMax = 120;
const watchMs = 250;
const restartsInARowMax = 5;
/** This many quiet watches in a row (a minute) forgive earlier deaths. */
const quietWatches = 240;
const heldByOthers = /lock file .* already exists|pre-existing shared memory block/;

export function addressUrl(address: DatabaseAddress): string {
  const { host, port, user, database } = address;
  const place = host.startsWith('/') ? encodeURIComponent(host) : host;
  const [role, name] = [encodeURIComponent(user), encodeURIComponent(database)];
  return `postgresql://${role}@${place}:${port}/${name}`;
}

async function answers(address: DatabaseAddress): Promise<boolean> {
  const client = new Client({
    ...address,
    connectionTimeoutMillis: 2_000,
    query_timeout: 2_000,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

function startFailed(plan: ClusterPlan, why: string): DatabaseFailure {
  const message = `PostgreSQL "${plan.name}" ${why}: ${logTail(plan.logFile)}`;
  return new DatabaseFailure('embedded-start-failed', message, { retryable: true });
}

/** One start: resolves when it takes connections; 'held' when something still holds the folder. */
async function startOnce(
  plan: ClusterPlan,
  address: DatabaseAddress,
  timeoutMs: number,
): Promise<ProcessIdentity | 'held'> {
  const { identity, ended, log } = spawnPostmaster(plan);
  for (let waitedMs = 0; waitedMs < timeoutMs; waitedMs += 20) {
    if (ended.reason !== undefined) {
      if (heldByOthers.test(log())) return 'held';
      throw startFailed(plan, `ended while starting (${ended.reason})`);
    }
    if (identity !== undefined && findPostmaster(plan.dataFolder)?.ready) {
      if (await answers(address)) return identity;
    }
    await delay(20);
  }
  if (identity !== undefined) await stopPostmaster(plan.dataFolder, identity, 1_000);
  throw startFailed(plan, 'did not become ready');
}

async function startOrAdopt(
  plan: ClusterPlan,
  address: DatabaseAddress,
  timeoutMs: number,
): Promise<{ identity: ProcessIdentity; adopted: boolean }> {
  await initializeOnce(plan);
  for (let attempt = 0; attempt < startAttemptsMax; attempt += 1) {
    const orphan = await takeOverOrphan(plan);
    if (orphan !== undefined) {
      if (await answers(address)) return { identity: orphan, adopted: true };
      await stopPostmaster(plan.dataFolder, orphan, timeoutMs);
    }
    const started = await startOnce(plan, address, timeoutMs);
    if (started !== 'held') return { identity: started, adopted: false };
    await delay(startRetryMs);
  }
  throw startFailed(plan, 'was held by another server for too long');
}

class RunningCluster implements EmbeddedPostgres {
  readonly name: string;
  readonly launchMode: EmbeddedPostgres['launchMode'];
  readonly adopted: boolean;
  readonly logFile: string;
  readonly #plan: ClusterPlan;
  readonly #options: EmbeddedPostgresOptions;
  readonly #lock: LauncherLock;
  readonly #onProcessExit = () => signalProcess(this.#identity, 'SIGINT');
  #identity: ProcessIdentity;
  #watch: NodeJS.Timeout | undefined;
  #restarting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #deaths = 0;
  #quiet = 0;

  constructor(
    plan: ClusterPlan,
    running: { identity: ProcessIdentity; adopted: boolean; lock: LauncherLock },
    options: EmbeddedPostgresOptions,
  ) {
    this.name = plan.name;
    this.launchMode = plan.mode.kind;
    this.adopted = running.adopted;
    this.logFile = plan.logFile;
    this.#plan = plan;
    this.#options = options;
    this.#lock = running.lock;
    this.#identity = running.identity;
    // A node process that ends without stop() still tells the server to leave.
    process.once('exit', this.#onProcessExit);
    this.#watch = setInterval(() => this.#look(), watchMs);
    this.#watch.unref();
  }

  pid(): number {
    return this.#identity.pid;
  }

  administrator(database = superuser): DatabaseAddress {
    return administratorAddress(this.#plan, database);
  }

  #look(): void {
    if (this.#restarting !== undefined) return;
    if (isAlive(this.#identity)) {
      this.#quiet += 1;
      if (this.#quiet >= quietWatches) this.#deaths = 0;
      return;
    }
    this.#quiet = 0;
    this.#deaths += 1;
    this.#report({ kind: 'died' });
    if (this.#options.restart === false || this.#deaths > restartsInARowMax) {
      clearInterval(this.#watch);
      this.#report({ kind: 'gave-up', cause: startFailed(this.#plan, 'died') });
      return;
    }
    this.#restarting = this.#restart().finally(() => {
      this.#restarting = undefined;
    });
  }

  async #restart(): Promise<void> {
    try {
      const timeoutMs = startTimeoutMs(this.#options);
      const again = await startOrAdopt(this.#plan, this.administrator(), timeoutMs);
      this.#identity = again.identity;
      this.#report({ kind: 'restarted' });
    } catch (cause) {
      clearInterval(this.#watch);
      this.#report({ kind: 'gave-up', cause });
    }
  }

  #report(event: ClusterEvent): void {
    this.#options.onEvent?.(event);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    clearInterval(this.#watch);
    await this.#restarting;
    const fastTimeoutMs = (this.#options.stopTimeoutSeconds ?? 20) * 1_000;
    await stopPostmaster(this.#plan.dataFolder, this.#identity, fastTimeoutMs);
    process.removeListener('exit', this.#onProcessExit);
    this.#lock.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

function administratorAddress(plan: ClusterPlan, database: string): DatabaseAddress {
  return { host: plan.socketFolder, port: socketPort, user: superuser, database };
}

function startTimeoutMs(options: EmbeddedPostgresOptions): number {
  return (options.startTimeoutSeconds ?? 120) * 1_000;
}

/**
 * Starts the cluster `<home>/<name>`, making it first if needed, and returns when it takes
 * connections. Fails with `embedded-in-use` while another living process runs the same cluster,
 * and with `embedded-unavailable` where npm has no binaries for the platform.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const native = findNativeBinaries();
  const folder = prepareClusterFolder(options.home, options.name);
  const lock = takeLauncherLock(join(folder, 'launcher.lock'));
  if ('holder' in lock) {
    const message = `${folder} is run by process ${lock.holder.pid}`;
    throw new DatabaseFailure('embedded-in-use', message);
  }
  try {
    const settings = {
      connectionsMax: options.connectionsMax ?? 100,
      sharedBuffersMegabytes: options.sharedBuffersMegabytes ?? 128,
    };
    const plan = await planCluster({ folder, name: options.name, native, settings });
    const address = administratorAddress(plan, superuser);
    const running = await startOrAdopt(plan, address, startTimeoutMs(options));
    return new RunningCluster(plan, { ...running, lock }, options);
  } catch (error) {
    lock.release();
    throw error;
  }
}
