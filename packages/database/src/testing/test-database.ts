// A database of its own for each test file, cloned from a migrated template in milliseconds. The
// template is made once per content of the migrations folder.
import { createHash, randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { connectDatabase, type Database, type DatabaseOptions } from '../connect-database.ts';
import { addressUrl, type DatabaseAddress } from '../embedded/embedded-postgres.ts';
import { ensureDatabase } from '../ensure-database.ts';
import { migrate, readMigrations } from '../migrate.ts';
import { testServer } from './test-server.ts';

export interface TestDatabaseOptions {
  /** Folder of numbered SQL files; without it the database is empty. */
  readonly migrations?: string;
  readonly connection?: DatabaseOptions;
}

export interface TestDatabase {
  /** Connected as an ordinary role that owns the database, like in production. */
  readonly database: Database;
  readonly address: DatabaseAddress;
  /** Form of DATABASE_URL. */
  readonly url: string;
  /** The same database as superuser, for what only tests do. */
  readonly administrator: DatabaseAddress;
  /** Closes `database` and drops it. Idempotent. */
  drop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const role = 'siegel_test';

async function asAdministrator<T>(
  server: DatabaseAddress,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client({ ...server, connectionTimeoutMillis: 10_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function templateFor(server: DatabaseAddress, migrations?: string): Promise<string> {
  const files = migrations === undefined ? [] : await readMigrations(migrations);
  const hash = createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 24);
  const template = `template_${hash}`;
  const building = `building_${hash}`;
  await asAdministrator(server, async (client) => {
    await client.query('SELECT pg_advisory_lock(hashtext($1))', [template]);
    const there = 'SELECT 1 FROM pg_database WHERE datname = $1';
    if ((await client.query(there, [template])).rows.length > 0) return;
    await client.query(`DROP DATABASE IF EXISTS "${building}" WITH (FORCE)`);
    const cluster = { administrator: () => server };
    const address = await ensureDatabase(cluster, { database: building, role });
    if (migrations !== undefined) await migrate({ address: { ...address } }, migrations);
    // Under its final name only when complete.
    await client.query(`ALTER DATABASE "${building}" RENAME TO "${template}"`);
  });
  return template;
}

export async function testDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const server = await testServer();
  const template = await templateFor(server, options.migrations);
  const name = `test_${randomBytes(8).toString('hex')}`;
  await asAdministrator(server, async (client) => {
    await client.query(`CREATE DATABASE "${name}" TEMPLATE "${template}" OWNER "${role}"`);
  });
  const address = { host: server.host, port: server.port, user: role, database: name };
  const database = connectDatabase(address, { poolMax: 5, ...options.connection });
  let dropping: Promise<void> | undefined;
  const drop = () => {
    dropping ??= database.close().then(() =>
      asAdministrator(server, async (client) => {
        await client.query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
      }),
    );
    return dropping;
  };
  return {
    database,
    address,
    url: addressUrl(address),
    administrator: { ...server, database: name },
    drop,
    [Symbol.asyncDispose]: drop,
  };
}
