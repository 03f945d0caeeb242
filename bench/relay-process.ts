// A relay as it is run: a process of its own on an embedded PostgreSQL of its own, on loopback,
// with rates no bench reaches.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  addressUrl,
  connectDatabase,
  type Database,
  ensureDatabase,
  startEmbeddedPostgres,
} from '@siegel/database';
import type { RelayOptions } from '@siegel/relay';
import { startChild } from './child-process.ts';
import { familyOf } from './cpu-time.ts';
import type { Bench } from './record.ts';

export type RelayProcess = {
  readonly url: string;
  readonly smsInbox: string;
  readonly operatorToken: string;
  /** whose CPU time is the relay's, and whose is its database's */
  readonly pids: () => { readonly relay: readonly number[]; readonly postgres: readonly number[] };
  /** Transactions its database has committed so far, reads too. */
  readonly transactions: () => Promise<number>;
  /** a folder that goes with the bench */
  readonly home: string;
};

/** Ends with the bench. */
export async function startRelayProcess(bench: Bench): Promise<RelayProcess> {
  const home = await mkdtemp(join(tmpdir(), 'siegel-bench-home-'));
  bench.cleanUp(() => rm(home, { recursive: true, force: true }));
  const cluster = await startEmbeddedPostgres({ home, name: 'postgres-relay' });
  bench.cleanUp(() => cluster.stop());
  const address = await ensureDatabase(cluster, { database: 'siegel_relay', role: 'siegel_relay' });
  const database = connectDatabase(address, { poolMax: 1 });
  bench.cleanUp(() => database.close());
  const operatorToken = randomBytes(32).toString('base64url');
  const config: RelayOptions = {
    port: 0,
    town: true,
    databaseUrl: addressUrl(address),
    keysFile: join(home, 'keys.json'),
    blobFolder: join(home, 'blobs'),
    operatorToken,
    socketsPerAddress: 10_000,
    rateFactor: 100_000,
    smsPerDay: 1_000_000,
    logLevel: 'warn',
    stopSeconds: 2,
  };
  const relay = await startChild({
    name: 'relay',
    program: 'packages/testkit/dist/children/relay-child.js',
    config,
    profile: bench.profiling,
  });
  bench.cleanUp(relay.stop);
  return {
    url: relay.url,
    smsInbox: `${relay.url}/sms-inbox`,
    operatorToken,
    pids: () => ({ relay: [relay.pid], postgres: familyOf(cluster.pid()) }),
    transactions: () => transactionsOf(database),
    home,
  };
}

/** Connections hand in their counts when they have been idle for a moment. */
const countDelayMs = 1200;

export async function transactionsOf(database: Database): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, countDelayMs));
  const { rows } = await database.query<{ count: number }>(
    'SELECT xact_commit AS count FROM pg_stat_database WHERE datname = current_database()',
  );
  return rows[0]?.count ?? Number.NaN;
}
