// The town's databases: two embedded clusters, one for the relay and one for the gateways, or the
// servers named from outside.
// Relay and gateways never share a cluster or a role, and each firm has a database of its own.
import {
  addressUrl,
  type ClusterEvent,
  connectDatabase,
  type EmbeddedPostgres,
  ensureDatabase,
  startEmbeddedPostgres,
} from '@siegel/database';
import { SiegelError } from '@siegel/protocol/errors';
import type { TownOptions } from './town-options.ts';

export type TownDatabases = {
  readonly relayUrl: string;
  readonly gatewayUrl: (slug: string) => string;
  /** embedded servers: name and pid */
  readonly pids: () => readonly { readonly name: string; readonly pid: number }[];
  stop(): Promise<void>;
};

export type ClusterPorts = {
  readonly onEvent: (name: string, event: ClusterEvent) => void;
};

const databaseOf = (slug: string): string => `siegel_gateway_${slug.replaceAll('-', '_')}`;
const relayDatabase = 'siegel_relay';
const buffersMegabytes = { relay: 64, gateways: 64 };

/**
 * Decision: in a server named by SIEGEL_GATEWAY_DATABASE_URL each firm gets a database of its own,
 * owned by the role of that
 * address. A role that may not create databases is refused with a sentence; schemas inside one
 * database would let one firm's
 * connection read the other's tables, and the migrations keep their books once per database.
 */
async function ensureExternal(url: string, name: string): Promise<string> {
  const database = connectDatabase(url, { poolMax: 1, applicationName: 'siegel-town' });
  try {
    const { rows } = await database.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    if (rows.length === 0) await database.query(`CREATE DATABASE "${name}"`);
  } catch (cause) {
    throw new SiegelError(
      'configuration-invalid',
      `SIEGEL_GATEWAY_DATABASE_URL: the database ${name} cannot be made there. ` +
        'Give its role CREATEDB, or make the database beforehand.',
      { cause },
    );
  } finally {
    await database.close();
  }
  const own = new URL(url);
  own.pathname = `/${name}`;
  return own.href;
}

async function ensureEmbedded(cluster: EmbeddedPostgres, name: string): Promise<string> {
  return addressUrl(await ensureDatabase(cluster, { database: name, role: name }));
}

async function inTurn<T>(
  names: readonly string[],
  make: (name: string) => Promise<T>,
): Promise<Map<string, T>> {
  const made = new Map<string, T>();
  for (const name of names) made.set(name, await make(name));
  return made;
}

function startCluster(
  home: string,
  name: 'relay' | 'gateways',
  ports: ClusterPorts,
): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({
    home,
    name: `postgres-${name}`,
    sharedBuffersMegabytes: buffersMegabytes[name],
    // The town promises to be gone within ten seconds.
    stopTimeoutSeconds: 4,
    onEvent: (event) => ports.onEvent(`postgres-${name}`, event),
  });
}

export async function startDatabases(
  options: TownOptions,
  slugs: readonly string[],
  ports: ClusterPorts,
): Promise<TownDatabases> {
  const clusters: EmbeddedPostgres[] = [];
  const embedded = async (name: 'relay' | 'gateways') => {
    const cluster = await startCluster(options.home, name, ports);
    clusters.push(cluster);
    return cluster;
  };
  const relay = async () =>
    options.databaseUrl ?? ensureEmbedded(await embedded('relay'), relayDatabase);
  const gateways = async () => {
    const names = slugs.map(databaseOf);
    const url = options.gatewayDatabaseUrl;
    if (url !== undefined) return inTurn(names, (name) => ensureExternal(url, name));
    const cluster = await embedded('gateways');
    return inTurn(names, (name) => ensureEmbedded(cluster, name));
  };
  const stop = async () => {
    await Promise.all(clusters.map((cluster) => cluster.stop()));
  };
  const [relayUrl, gatewayUrls] = await Promise.allSettled([relay(), gateways()]);
  if (relayUrl.status === 'rejected' || gatewayUrls.status === 'rejected') {
    await stop();
    throw relayUrl.status === 'rejected' ? relayUrl.reason : rejection(gatewayUrls);
  }
  return {
    relayUrl: relayUrl.value,
    gatewayUrl: (slug) => gatewayUrls.value.get(databaseOf(slug))!,
    pids: () => clusters.map((cluster) => ({ name: cluster.name, pid: cluster.pid() })),
    stop,
  };
}

const rejection = (settled: PromiseSettledResult<unknown>): unknown =>
  settled.status === 'rejected' ? settled.reason : undefined;
