// Gives one server of the house its own database and role on a cluster, closed to every other
// role: relay and gateways never share either.

import { Client } from 'pg';
import { DatabaseFailure } from './database-failure.ts';
import type { DatabaseAddress } from './embedded/embedded-postgres.ts';
import { errorCode } from './error-code.ts';

export interface EnsureDatabaseRequest {
  readonly database: string;
  readonly role: string;
}

const identifier = /^[a-z][a-z0-9_]{0,62}$/;
/** duplicate_object, duplicate_database, unique_violation: a concurrent caller was first. */
const alreadyThere = new Set(['42710', '42P04', '23505']);

async function createUnlessThere(client: Client, statement: string): Promise<void> {
  try {
    await client.query(statement);
  } catch (error) {
    if (!alreadyThere.has(errorCode(error) ?? '')) throw error;
  }
}

function assertIdentifier(name: string): void {
  if (!identifier.test(name)) {
    throw new DatabaseFailure('name-invalid', `not a database name: ${JSON.stringify(name)}`);
  }
}

/**
 * Idempotent; safe when called concurrently and when an earlier call was cut off. Fails with
 * `database-owned-by-other` when the database exists under another role.
 */
export async function ensureDatabase(
  cluster: { administrator(database?: string): DatabaseAddress },
  { database, role }: EnsureDatabaseRequest,
): Promise<DatabaseAddress> {
  assertIdentifier(database);
  assertIdentifier(role);
  const administrator = cluster.administrator();
  const client = new Client({ ...administrator, connectionTimeoutMillis: 10_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    // Concurrent callers would trip over each other in the catalogue.
    await client.query('SELECT pg_advisory_lock(hashtext($1))', ['siegel ensure-database']);
    await createUnlessThere(
      client,
      `CREATE ROLE "${role}" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS`,
    );
    // Closed until its rights are set, so that a cut-off call leaves no open door.
    await createUnlessThere(
      client,
      `CREATE DATABASE "${database}" OWNER "${role}" ALLOW_CONNECTIONS false`,
    );
    const { rows } = await client.query<{ owner: string }>(
      'SELECT pg_get_userbyid(datdba) AS owner FROM pg_database WHERE datname = $1',
      [database],
    );
    if (rows[0]?.owner !== role) {
      const message = `database ${database} belongs to role ${rows[0]?.owner}, not ${role}`;
      throw new DatabaseFailure('database-owned-by-other', message);
    }
    for (const closed of [database, 'postgres', 'template1']) {
      await client.query(`REVOKE ALL ON DATABASE "${closed}" FROM PUBLIC`);
    }
    await client.query(`ALTER DATABASE "${database}" ALLOW_CONNECTIONS true`);
  } finally {
    await client.end();
  }
  return { host: administrator.host, port: administrator.port, user: role, database };
}
