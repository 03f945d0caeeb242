// The connection relay and gateway hold to PostgreSQL: a bounded pool that heals after the server
// was killed, with every error classified. Embedded or DATABASE_URL makes no difference here.
import { Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely';
import {
  type ClientBase,
  type CustomTypesConfig,
  Pool,
  type PoolClient,
  type PoolConfig,
  types as pgTypes,
  type QueryConfig,
  type QueryResultRow,
} from 'pg';
import { classifyError } from './classify-error.ts';
import { DatabaseFailure } from './database-failure.ts';
import type { DatabaseAddress } from './embedded/embedded-postgres.ts';
import { retryConflicts } from './retry-conflicts.ts';

export interface DatabaseOptions {
  /** Connections at most; 10 unless given. */
  readonly poolMax?: number;
  /** Callers waiting for a connection at most; beyond it `overloaded`. */
  readonly waitingMax?: number;
  readonly connectTimeoutMs?: number;
  readonly statementTimeoutMs?: number;
  readonly idleInTransactionTimeoutMs?: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName?: string;
  readonly attemptsMax?: number;
}

export type Isolation = 'read committed' | 'repeatable read' | 'serializable';

/** What may be put in a statement. */
export type Parameter = unknown;

export interface Rows<Row> {
  readonly rows: Row[];
  /** Rows touched, also when none are returned. */
  readonly count: number;
}

export interface Queryable {
  /** Throws DatabaseFailure only. */
  query<Row extends object = Record<string, unknown>>(
    text: string,
    parameters?: readonly Parameter[],
  ): Promise<Rows<Row>>;
  /** A statement prepared once per connection under this name; for hot statements. */
  queryNamed<Row extends object = Record<string, unknown>>(
    name: string,
    text: string,
    parameters: readonly Parameter[],
  ): Promise<Rows<Row>>;
}

export interface Database extends Queryable {
  readonly address: PoolConfig;
  /**
   * Runs work in one transaction and commits; any throw rolls back. Run again, bounded, on
   * serialization failures and deadlocks, so work must have no other effect than its statements.
   */
  transaction<T>(
    work: (transaction: Queryable) => Promise<T>,
    options?: { readonly isolation?: Isolation; readonly attemptsMax?: number },
  ): Promise<T>;
  /** For cold queries. Its errors are classified like all others. */
  kysely<Schema>(): Kysely<Schema>;
  /** Resolves when one statement came back; for /ready. */
  ping(): Promise<void>;
  counts(): { readonly open: number; readonly idle: number; readonly waiting: number };
  /** Waits for running work, then closes. Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const int8 = 20;
const int8Array = 1016;

function safeInteger(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new DatabaseFailure('unsafe-integer', 'a bigint beyond 2^53 came from the database');
}

/** One dimension, such as {1,NULL,3}. */
function safeIntegers(text: string): (number | null)[] {
  if (text === '{}') return [];
  const parts = text.slice(1, -1).split(',');
  return parts.map((part) => (part === 'NULL' ? null : safeInteger(part)));
}

/** All our bigints are milliseconds, sequences and cents below 2^53. */
const types: CustomTypesConfig = {
  getTypeParser(oid: number, format?: string) {
    if (format !== 'binary' && oid === int8) return safeInteger;
    if (format !== 'binary' && oid === int8Array) return safeIntegers;
    // The typings list the known types; PostgreSQL hands out others too.
    // oxlint-disable typescript/no-unsafe-enum-assignment
    return format === 'binary'
      ? pgTypes.getTypeParser(oid, 'binary')
      : pgTypes.getTypeParser(oid, 'text');
    // oxlint-enable typescript/no-unsafe-enum-assignment
  },
};

type Runner = Pick<ClientBase, 'query'>;

async function run<Row extends object>(runner: Runner, config: QueryConfig): Promise<Rows<Row>> {
  try {
    const result = await runner.query<Row & QueryResultRow>(config);
    return { rows: result.rows, count: result.rowCount ?? 0 };
  } catch (error) {
    throw classifyError(error);
  }
}

function queryableOn(runner: Runner): Queryable {
  return {
    query: (text, parameters = []) => run(runner, { text, values: [...parameters] }),
    queryNamed: (name, text, parameters) => run(runner, { name, text, values: [...parameters] }),
  };
}

class PooledDatabase implements Database {
  readonly address: PoolConfig;
  readonly #pool: Pool;
  readonly #waitingMax: number;
  readonly #attemptsMax: number;
  #closing: Promise<void> | undefined;

  constructor(address: PoolConfig, options: DatabaseOptions) {
    const statementTimeoutMs = options.statementTimeoutMs ?? 15_000;
    this.address = address;
    this.#waitingMax = options.waitingMax ?? 1_000;
    this.#attemptsMax = options.attemptsMax ?? 5;
    this.#pool = new Pool({
      ...address,
      types,
      max: options.poolMax ?? 10,
      connectionTimeoutMillis: options.connectTimeoutMs ?? 5_000,
      idleTimeoutMillis: 30_000,
      statement_timeout: statementTimeoutMs,
      // Ours, in case the server no longer answers at all.
      query_timeout: statementTimeoutMs + 5_000,
      idle_in_transaction_session_timeout: options.idleInTransactionTimeoutMs ?? 30_000,
      application_name: options.applicationName ?? 'siegel',
      keepAlive: true,
    });
    // Idle connections break when the server is killed; the next query opens a new one.
    this.#pool.on('error', () => {});
  }

  async #connect(): Promise<PoolClient> {
    if (this.#closing) throw new DatabaseFailure('database-closed', 'the database was closed');
    if (this.#pool.waitingCount >= this.#waitingMax) {
      const message = `${this.#waitingMax} callers already wait for a connection`;
      throw new DatabaseFailure('overloaded', message, { retryable: true });
    }
    try {
      const client = await this.#pool.connect();
      // While lent out nobody else listens; the query under way reports the same error.
      client.on('error', ignore);
      return client;
    } catch (error) {
      throw classifyError(error);
    }
  }

  async #lend<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    let broken = false;
    try {
      return await work(client);
    } catch (error) {
      broken = error instanceof BrokenConnection || isBroken(error);
      throw error instanceof BrokenConnection ? error.reason : error;
    } finally {
      client.removeListener('error', ignore);
      client.release(broken);
    }
  }

  query<Row extends object>(text: string, parameters: readonly Parameter[] = []) {
    return this.#lend((client) => queryableOn(client).query<Row>(text, parameters));
  }

  queryNamed<Row extends object>(name: string, text: string, parameters: readonly Parameter[]) {
    return this.#lend((client) => queryableOn(client).queryNamed<Row>(name, text, parameters));
  }

  transaction<T>(
    work: (transaction: Queryable) => Promise<T>,
    options: { readonly isolation?: Isolation; readonly attemptsMax?: number } = {},
  ): Promise<T> {
    const begin = `BEGIN ISOLATION LEVEL ${options.isolation ?? 'read committed'}`;
    return retryConflicts(
      () => this.#lend((client) => transactOn(client, begin, work)),
      options.attemptsMax ?? this.#attemptsMax,
    );
  }

  kysely<Schema>(): Kysely<Schema> {
    const pool = {
      connect: async () => kyselyClient(await this.#connect()),
      // Whoever connected closes; a Kysely handle only borrows.
      end: async () => {},
    };
    return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  }

  async ping(): Promise<void> {
    await this.query('SELECT 1');
  }

  counts() {
    const { totalCount: open, idleCount: idle, waitingCount: waiting } = this.#pool;
    return { open, idle, waiting };
  }

  close(): Promise<void> {
    this.#closing ??= this.#pool.end();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function ignore(): void {}

/** A connection whose state is unknown must not go back to the pool. */
function isBroken(error: unknown): error is DatabaseFailure {
  return error instanceof DatabaseFailure && error.code === 'database-unavailable';
}

async function transactOn<T>(
  client: PoolClient,
  begin: string,
  work: (transaction: Queryable) => Promise<T>,
): Promise<T> {
  await run(client, { text: begin });
  let result: T;
  try {
    result = await work(queryableOn(client));
  } catch (error) {
    try {
      await run(client, { text: 'ROLLBACK' });
    } catch {
      // Without an answer the connection is unusable; the first error tells the caller more.
      throw new BrokenConnection(error);
    }
    throw error;
  }
  return commit(client, result);
}

/** Carries the caller's error past the pool, which must throw the connection away. */
class BrokenConnection extends Error {
  readonly reason: unknown;
  constructor(reason: unknown) {
    super('the connection broke');
    this.reason = reason;
  }
}

async function commit<T>(client: PoolClient, result: T): Promise<T> {
  try {
    const answer = await client.query('COMMIT');
    // PostgreSQL answers COMMIT of a failed transaction with ROLLBACK and no error.
    if (answer.command === 'COMMIT') return result;
  } catch (error) {
    const failure = classifyError(error);
    if (!isBroken(failure)) throw failure;
    const { message } = failure;
    throw new DatabaseFailure('database-unavailable', message, {
      retryable: true,
      outcomeUnknown: true,
    });
  }
  throw new DatabaseFailure('query-failed', 'a statement failed unseen: the work was rolled back');
}

function kyselyClient(client: PoolClient): PostgresPoolClient {
  let broken = false;
  return {
    // Kysely's other overload, for cursors, is never called without a cursor class.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    query: (async (text: string, values: readonly unknown[]) => {
      try {
        return await client.query(text, [...values]);
      } catch (error) {
        const failure = classifyError(error);
        broken ||= isBroken(failure);
        throw failure;
      }
    }) as unknown as PostgresPoolClient['query'],
    release: () => {
      client.removeListener('error', ignore);
      client.release(broken);
    },
  };
}

/** Takes DATABASE_URL's text or an address; opens nothing until the first query. */
export function connectDatabase(
  address: string | DatabaseAddress,
  options: DatabaseOptions = {},
): Database {
  const config = typeof address === 'string' ? { connectionString: address } : { ...address };
  return new PooledDatabase(config, options);
}
