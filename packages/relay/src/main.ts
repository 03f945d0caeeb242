// The relay as a running server: configuration, store, features and HTTP are put together here, started and stopped.

import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { connectDatabase, type Database, migrate } from '@siegel/database';
import { SiegelError } from '@siegel/protocol/errors';
import type { DestinationStream } from 'pino';
import { createSmsProvider, createTownInbox, type SmsSender } from './accounts/sms.ts';
import { type Composition, composeFeatures } from './compose-features.ts';
import { checkConfig, type RelayConfig, type RelayOptions } from './config.ts';
import { createEvents } from './events.ts';
import { createAuthenticator } from './http/authenticate.ts';
import { countProcess, createMetrics } from './metrics.ts';
import { openDoors } from './open-doors.ts';
import { loadOperatorKeys } from './operator-keys.ts';
import { createRateLimiter } from './rate-limits.ts';
import { createUpkeep } from './upkeep.ts';

/** What the relay gets from outside; all have a real default. */
export type RelayWorld = {
  /** Stays open when the relay closes. Without it `databaseUrl` is connected to. */
  readonly database?: Database;
  readonly now?: () => number;
  readonly random?: (bytes: number) => Uint8Array;
  /** Without it: the town's inbox, or the provider of the configuration. */
  readonly sms?: SmsSender;
  /** Where log lines go; standard output unless given. */
  readonly log?: DestinationStream;
};

export type Relay = {
  /** What devices use: the public address, or the one on this machine. */
  readonly url: string;
  readonly port: number;
  /** The web apps served, the one on the relay's own port too. */
  readonly webApps: readonly { readonly name: string; readonly url: string }[];
  /** Removes what has ended and finishes what a crash cut short; otherwise done from time to time. */
  readonly runUpkeep: () => Promise<void>;
  /** Finishes what is under way, says `bye` to sockets, and stops (H3). Idempotent. */
  readonly close: () => Promise<void>;
};

const migrations = fileURLToPath(new URL('../migrations', import.meta.url));

/** Throws `configuration-invalid` with a sentence when it cannot be started as told. */
export async function startRelay(options: RelayOptions, world: RelayWorld = {}): Promise<Relay> {
  const config = checkConfig(options);
  const database = world.database ?? connect(config);
  const stops: (() => Promise<unknown>)[] = [];
  if (world.database === undefined) stops.push(() => database.close());
  const stopAll = async () => {
    for (const stop of stops.toReversed()) await stop();
  };
  try {
    const started = await start({ config, database, world, stops });
    let closing: Promise<void> | undefined;
    return {
      ...started,
      close: () => {
        closing ??= stopAll();
        return closing;
      },
    };
  } catch (failure) {
    await stopAll();
    throw failure;
  }
}

type Start = {
  readonly config: RelayConfig;
  readonly database: Database;
  readonly world: RelayWorld;
  /** Run in reverse order when the relay stops, or when its start fails half-way. */
  readonly stops: (() => Promise<unknown>)[];
};

async function start({ config, database, world, stops }: Start): Promise<Omit<Relay, 'close'>> {
  const events = createEvents(config.logLevel, world.log);
  const metrics = createMetrics();
  countProcess(metrics);
  const now = world.now ?? Date.now;
  const random = world.random ?? randomBytes;
  const applied = await migrate(database, migrations);
  if (applied.length > 0) events.migrated(applied);
  const townInbox = config.town ? createTownInbox() : undefined;
  const composition: Composition = {
    ...{ config, database, now, random, events, metrics },
    keys: await loadOperatorKeys(config.keysFile, random),
    authenticator: createAuthenticator({ database, now, operatorToken: config.operatorToken }),
    rateLimiter: createRateLimiter(now, config.rateFactor ?? (config.town ? 100 : 1)),
    sms: world.sms ?? townInbox ?? smsProvider(config),
  };
  const features = composeFeatures(composition);
  stops.push(features.hotPath.close);
  const upkeep = createUpkeep(features.jobs, events);
  stops.push(upkeep.stop);
  stops.push(async () => events.stopped());
  const doors = await openDoors({
    ...{ composition, features, stops },
    ...(townInbox === undefined ? {} : { townInbox: townInbox.read }),
  });
  await upkeep.runAll();
  upkeep.start();
  features.hotPath.start();
  events.started(doors.port);
  return { ...doors, url: config.publicUrl ?? doors.url, runUpkeep: upkeep.runAll };
}

function connect(config: RelayConfig): Database {
  if (config.databaseUrl !== undefined) {
    return connectDatabase(config.databaseUrl, { applicationName: 'siegel-relay' });
  }
  throw new SiegelError('configuration-invalid', 'DATABASE_URL is missing.');
}

function smsProvider(config: RelayConfig): SmsSender {
  if (config.sms !== undefined) return createSmsProvider(config.sms);
  throw new SiegelError(
    'configuration-invalid',
    'Nobody sends the SMS with the codes: set SIEGEL_SMS_URL, or SIEGEL_TOWN=1 on one machine.',
  );
}
