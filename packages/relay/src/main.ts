// The relay as a running server: configuration, store, features and HTTP are wired to each other here and nowhere else.

import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { fileURLToPath } from 'node:url';
import { connectDatabase, type Database, migrate } from '@siegel/database';
import { SiegelError } from '@siegel/protocol/errors';
import type { FastifyInstance } from 'fastify';
import type { DestinationStream } from 'pino';
import type { BasePorts } from './base-ports.ts';
import { checkConfig, isLoopback, type RelayConfig, type RelayOptions } from './config.ts';
import { createEvents } from './events.ts';
import type { MailboxHub } from './hot-path.ts';
import { createAuthenticator } from './http/authenticate.ts';
import { addOperationsRoutes } from './http/operations-routes.ts';
import type { Route } from './http/route.ts';
import { createServer } from './http/serve.ts';
import { hostSockets } from './http/socket.ts';
import { createMetrics } from './metrics.ts';
import { loadOperatorKeys } from './operator-keys.ts';
import { createRateLimiter } from './rate-limits.ts';

/** What the relay gets from outside; all have a real default. */
export type RelayWorld = {
  /** Stays open when the relay closes. Without it `databaseUrl` is connected to. */
  readonly database?: Database;
  readonly now?: () => number;
  readonly random?: (bytes: number) => Uint8Array;
  /** Where log lines go; standard output unless given. */
  readonly log?: DestinationStream;
};

export type Relay = {
  readonly url: string;
  readonly port: number;
  /** Finishes what is under way, says `bye` to sockets, and stops (H3). Idempotent. */
  readonly close: () => Promise<void>;
};

const migrations = fileURLToPath(new URL('../migrations', import.meta.url));

export async function startRelay(options: RelayOptions, world: RelayWorld = {}): Promise<Relay> {
  const config = checkConfig(options);
  const events = createEvents(config.logLevel, world.log);
  const metrics = createMetrics();
  const database = world.database ?? connect(config);
  const base: BasePorts = {
    database,
    now: world.now ?? Date.now,
    random: world.random ?? randomBytes,
  };
  const applied = await migrate(database, migrations);
  if (applied.length > 0) events.migrated(applied);
  const keys = await loadOperatorKeys(config.keysFile, base.random);
  void keys;
  const rateLimiter = createRateLimiter(base.now, config.rateFactor ?? (config.town ? 100 : 1));
  const authenticator = createAuthenticator({ ...base, operatorToken: config.operatorToken });

  // Here the features are put together.
  const hub: MailboxHub = {
    acceptSocket: (socket) => socket.close(1013, 'not yet'),
    revokeDevices: () => {},
    devicesChanged: () => {},
    close: async () => {},
  };
  const routes: Route[] = [];

  let isStopping = false;
  const serving = {
    ...{ config, events, metrics, rateLimiter, authenticator, routes },
    isStopping: () => isStopping,
    isWebOrigin: (origin: string) => config.webOrigins.includes(origin),
  };
  const app = await createServer(serving);
  addOperationsRoutes(app, {
    ...serving,
    checkReady: async () => {
      if (isStopping) throw new SiegelError('shutting-down');
      await database.ping();
    },
  });
  await app.listen({ host: config.host, port: config.port });
  const sockets = hostSockets({
    ...serving,
    server: app.server,
    acceptSocket: hub.acceptSocket,
    addressOf: (request) => addressOf(request, config),
    socketsPerAddress: config.socketsPerAddress,
  });
  const port = portOf(app);
  events.started(port);

  let closing: Promise<void> | undefined;
  const close = async () => {
    events.stopping();
    isStopping = true;
    await hub.close();
    await sockets.close();
    await stopServer(app, config.stopSeconds);
    if (world.database === undefined) await database.close();
    events.stopped();
  };
  return {
    url: config.publicUrl ?? localUrl(config, port),
    port,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

function connect(config: RelayConfig): Database {
  if (config.databaseUrl !== undefined) {
    return connectDatabase(config.databaseUrl, { applicationName: 'siegel-relay' });
  }
  throw new SiegelError('configuration-invalid', 'DATABASE_URL is missing.');
}

function portOf(app: FastifyInstance): number {
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening on a port');
  return address.port;
}

function localUrl(config: RelayConfig, port: number): string {
  const host = isLoopback(config.host) || config.host === '0.0.0.0' ? '127.0.0.1' : config.host;
  return `${config.tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Of a socket's first request; the last entry is the one our own proxy wrote. */
function addressOf(request: IncomingMessage, config: RelayConfig): string {
  const forwarded = config.behindProxy ? request.headers['x-forwarded-for'] : undefined;
  const last = [forwarded ?? []].flat().join(',').split(',').at(-1)?.trim();
  return last || (request.socket.remoteAddress ?? '');
}

/** Requests under way are finished, but not waited for longer than this. */
async function stopServer(app: FastifyInstance, seconds: number): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), seconds * 1000);
  timer.unref();
  await app.close();
  clearTimeout(timer);
}
