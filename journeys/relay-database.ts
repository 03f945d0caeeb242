// A look into the relay's own PostgreSQL while the town runs, and the two things a story changes there: that time has passed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { limits } from '@siegel/protocol/limits';
import type { Town } from '@siegel/testkit';
import { Client } from 'pg';

export type RelayDatabase = {
  /** one-time key packages that the relay holds for an account, on all its devices */
  oneTimeKeyPackages(accountId: string): Promise<number>;
  /** references of its last-resort ones, in hexadecimal */
  lastResortKeyPackages(accountId: string): Promise<string[]>;
  /** As if 24 hours had passed for every open window; answers how many were open. */
  letWindowsEnd(): Promise<number>;
  /** As if an hour had passed for the count of key packages claimed from anybody. */
  forgetClaims(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** PostgreSQL writes down where it listens: port and folder of the socket are lines 4 and 5 of its pid file. */
function socketOf(town: Town): { host: string; port: number } {
  const path = join(town.home, 'postgres-relay', 'data', 'postmaster.pid');
  const lines = readFileSync(path, 'utf8').split('\n');
  return { host: lines[4]!.trim(), port: Number(lines[3]) };
}

export async function relayDatabase(town: Town): Promise<RelayDatabase> {
  const client = new Client({
    ...socketOf(town),
    user: 'siegel_relay',
    database: 'siegel_relay',
    connectionTimeoutMillis: 10_000,
    query_timeout: 10_000,
  });
  await client.connect();
  return {
    async oneTimeKeyPackages(accountId) {
      const { rows } = await client.query<{ count: string }>(
        'SELECT count(*) FROM key_packages WHERE account_id = $1 AND NOT last_resort',
        [accountId],
      );
      return Number(rows[0]!.count);
    },
    async lastResortKeyPackages(accountId) {
      const { rows } = await client.query<{ reference: Buffer }>(
        'SELECT reference FROM key_packages WHERE account_id = $1 AND last_resort',
        [accountId],
      );
      return rows.map(({ reference }) => reference.toString('hex'));
    },
    async letWindowsEnd() {
      const windowMs = limits.serviceWindowHours * 60 * 60 * 1000;
      const { rowCount } = await client.query(
        'UPDATE conversations SET window_until = window_until - $1 WHERE window_until > 0',
        [windowMs],
      );
      return rowCount ?? 0;
    },
    async forgetClaims() {
      await client.query("DELETE FROM quotas WHERE quota = 'claimed'");
    },
    async [Symbol.asyncDispose]() {
      await client.end();
    },
  };
}
