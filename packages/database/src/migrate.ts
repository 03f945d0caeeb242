// Brings a database to the schema of a folder of numbered plain SQL files. Each file runs once, in
// its own transaction, under a lock; a file changed after it ran is refused.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Kysely, type Migration, Migrator, PostgresDialect, sql } from 'kysely';
import { Pool } from 'pg';
import { classifyError } from './classify-error.ts';
import type { Database } from './connect-database.ts';
import { DatabaseFailure } from './database-failure.ts';

export interface MigrationFile {
  /** File name without `.sql`, such as `0001-mailboxes`. */
  readonly name: string;
  readonly text: string;
  readonly checksum: string;
}

interface Bookkeeping {
  migration_checksums: { name: string; checksum: string };
}

const namePattern = /^(\d{4})-[a-z0-9]+(?:-[a-z0-9]+)*\.sql$/;
/** The transaction is ours; a file that commits on its own could be half applied. */
const transactionControl = /^\s*(begin|start\s+transaction|commit|rollback|end)\s*;/im;
const migrationTimeoutMs = 600_000;
const lockTimeoutMs = 120_000;

/** Numbers must run 0001, 0002, … without gaps: a missing file is a broken merge. */
export async function readMigrations(folder: string): Promise<MigrationFile[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (file, index) => {
      const number = namePattern.exec(file)?.[1];
      if (number === undefined || Number(number) !== index + 1) {
        const message = `${file} should be numbered ${String(index + 1).padStart(4, '0')}-….sql`;
        throw new DatabaseFailure('migration-invalid', message);
      }
      const text = await readFile(join(folder, file), 'utf8');
      if (transactionControl.test(text)) {
        const message = `${file} controls its transaction; migrations must not`;
        throw new DatabaseFailure('migration-invalid', message);
      }
      const checksum = createHash('sha256').update(text).digest('hex');
      return { name: file.slice(0, -'.sql'.length), text, checksum };
    }),
  );
}

function asKyselyMigration(file: MigrationFile): Migration {
  return {
    async up(db: Kysely<unknown>) {
      await sql.raw(`SET LOCAL statement_timeout = ${migrationTimeoutMs}`).execute(db);
      await sql.raw(file.text).execute(db);
      await sql`INSERT INTO migration_checksums (name, checksum)
        VALUES (${file.name}, ${file.checksum})`.execute(db);
    },
  };
}

/** Statements that look at `IF NOT EXISTS` can still meet a concurrent starter. */
async function createBookkeeping(db: Kysely<Bookkeeping>): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    await sql`SELECT pg_advisory_xact_lock(hashtext('siegel migrations'))`.execute(transaction);
    await sql`CREATE TABLE IF NOT EXISTS migration_checksums (
      name text PRIMARY KEY, checksum text NOT NULL)`.execute(transaction);
  });
}

async function refuseChanged(db: Kysely<Bookkeeping>, files: MigrationFile[]): Promise<void> {
  const applied = await db.selectFrom('migration_checksums').selectAll().execute();
  for (const { name, checksum } of applied) {
    const file = files.find((file) => file.name === name);
    if (file === undefined) {
      const message = `the database has ${name}, which this version does not know`;
      throw new DatabaseFailure('migration-missing', message);
    }
    if (file.checksum !== checksum) {
      const message = `${name} was changed after it was applied; add a new file instead`;
      throw new DatabaseFailure('migration-changed', message);
    }
  }
}

async function applyPending(db: Kysely<Bookkeeping>, files: MigrationFile[]): Promise<string[]> {
  const migrations = Object.fromEntries(files.map((file) => [file.name, asKyselyMigration(file)]));
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const applied: string[] = [];
  // One step per file: the Migrator would otherwise run all of them in one transaction.
  for (let step = 0; step < files.length; step += 1) {
    const { error, results = [] } = await migrator.migrateUp();
    const failed = results.find((result) => result.status === 'Error');
    if (error !== undefined) throw migrationFailure(error, failed?.migrationName);
    applied.push(...results.map((result) => result.migrationName));
    if (results.length === 0) break;
  }
  return applied;
}

function migrationFailure(error: unknown, name: string | undefined): DatabaseFailure {
  const cause = classifyError(error);
  if (cause instanceof DatabaseFailure && cause.retryable) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  const { sqlState } = cause instanceof DatabaseFailure ? cause : { sqlState: undefined };
  return new DatabaseFailure('migration-failed', `${name ?? 'migration'}: ${why}`, { sqlState });
}

/** Returns the names of the files this call applied. Safe when several servers start at once. */
export async function migrate(database: Pick<Database, 'address'>, folder: string) {
  const files = await readMigrations(folder);
  // Its own connections: migrations may take longer than the pool's timeouts allow.
  const pool = new Pool({
    ...database.address,
    max: 2,
    connectionTimeoutMillis: 10_000,
    lock_timeout: lockTimeoutMs,
    application_name: 'siegel-migrate',
  });
  pool.on('error', () => {});
  const db = new Kysely<Bookkeeping>({ dialect: new PostgresDialect({ pool }) });
  try {
    await createBookkeeping(db);
    await refuseChanged(db, files);
    const applied = await applyPending(db, files);
    // Again: a concurrent starter of another version may have been first.
    await refuseChanged(db, files);
    return applied;
  } catch (error) {
    throw classifyError(error);
  } finally {
    await db.destroy();
  }
}
