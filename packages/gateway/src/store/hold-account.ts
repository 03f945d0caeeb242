// The database of one legal entity, opened and migrated, and the lease that makes this process its only writer.

import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { connectDatabase, type Database, migrate } from '@siegel/database';
import { SiegelError } from '@siegel/protocol/errors';
import type { Clock } from '../gateway-context.ts';
import { acquireWriterLease, type WriterLease } from './writer-lease.ts';

const migrations = fileURLToPath(new URL('../../migrations', import.meta.url));

const leaseMs = 6000;
const renewMs = 2000;
/** A process that was killed leaves its lease behind; the next one waits for its end. */
const acquireTries = 20;
const acquirePauseMs = 500;

export type HeldAccount = {
  readonly database: Database;
  readonly lease: WriterLease;
  /** false once another process took over */
  readonly mayWrite: () => boolean;
  close(): Promise<void>;
};

const pause = (clock: Pick<Clock, 'schedule'>): Promise<void> =>
  new Promise((resolve) => {
    clock.schedule(resolve, acquirePauseMs);
  });

async function acquire(database: Database, clock: Clock): Promise<WriterLease> {
  const holder = randomUUID();
  for (let tries = 1; ; tries += 1) {
    try {
      return await acquireWriterLease({
        database,
        name: 'account',
        holder,
        now: clock.now,
        leaseMs,
      });
    } catch (error) {
      const held = error instanceof SiegelError && error.code === 'state-conflict';
      if (!held || tries >= acquireTries) throw error;
      await pause(clock);
    }
  }
}

/** @throws SiegelError `state-conflict` when another process keeps holding it */
export async function holdAccount(options: {
  databaseUrl: string;
  clock: Clock;
  /** another process took over: stop */
  onLost: () => void;
}): Promise<HeldAccount> {
  const { databaseUrl, clock, onLost } = options;
  const database = connectDatabase(databaseUrl, {
    poolMax: 16,
    applicationName: 'siegel-gateway',
  });
  let cancel = () => {};
  let held = true;
  try {
    await migrate(database, migrations);
    const lease = await acquire(database, clock);
    const renew = async (): Promise<void> => {
      // A database that is away is nobody's take-over: the fence decides when it is back.
      const renewed = await lease.renew().catch(() => true);
      if (!held) return;
      if (renewed) {
        cancel = clock.schedule(() => void renew(), renewMs);
        return;
      }
      held = false;
      onLost();
    };
    cancel = clock.schedule(() => void renew(), renewMs);
    const close = async () => {
      held = false;
      cancel();
      await lease.release().catch(() => {});
      await database.close();
    };
    return { database, lease, mayWrite: () => held, close };
  } catch (error) {
    await database.close();
    throw error;
  }
}
