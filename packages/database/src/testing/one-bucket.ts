// Proves that a hot statement touches one bucket: the hot tables are made partitioned by bucket,
// the statement runs, and both its plans (those inside functions too) and the counters of each
// partition are looked at. What stays in one partition here stays on one node with Citus.
import assert from 'node:assert/strict';
import { Client } from 'pg';
import { type TestDatabase, testDatabase } from './test-database.ts';

export interface HotStatement {
  readonly name?: string;
  readonly text: string;
  readonly parameters?: readonly unknown[];
}

export interface Touch {
  readonly table: string;
  /** Numbers of the partitions planned, read or written; -1 for the unpartitioned original. */
  readonly partitions: readonly number[];
}

export interface OneBucketProbe {
  /** The partitioned database, to be filled with the rows the statements need. */
  readonly test: TestDatabase;
  /** Runs the statement in a transaction that is rolled back; only tables touched are named. */
  touches(statement: HotStatement): Promise<Touch[]>;
  /** Throws when more than one partition of a table, or none at all, is touched. */
  assertOneBucket(statement: HotStatement): Promise<void>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface OneBucketOptions {
  readonly migrations: string;
  /** Names of the hot tables; each has a column `bucket` leading its primary key. */
  readonly tables: readonly string[];
  readonly partitions?: number;
}

/** Where the originals go; whatever still touches them bypasses the partitions. */
const originals = 'siegel_unpartitioned';
const tablePattern = /^[a-z][a-z0-9_]{0,50}$/;

async function partition(client: Client, table: string, partitions: number): Promise<void> {
  assert.match(table, tablePattern);
  const owner = 'siegel_test';
  await client.query(`
    ALTER TABLE public."${table}" SET SCHEMA ${originals};
    CREATE TABLE public."${table}" (LIKE ${originals}."${table}" INCLUDING ALL)
      PARTITION BY HASH (bucket);
    ALTER TABLE public."${table}" OWNER TO ${owner};`);
  for (let number = 0; number < partitions; number += 1) {
    const name = `public."${table}_p${number}"`;
    await client.query(`
      CREATE TABLE ${name} PARTITION OF public."${table}"
        FOR VALUES WITH (MODULUS ${partitions}, REMAINDER ${number});
      ALTER TABLE ${name} OWNER TO ${owner};`);
  }
  await client.query(`INSERT INTO public."${table}" SELECT * FROM ${originals}."${table}"`);
}

/** Every relation a plan names, at any depth. */
function* relationsIn(plan: unknown): Generator<string> {
  if (Array.isArray(plan)) {
    for (const part of plan) yield* relationsIn(part);
  } else if (typeof plan === 'object' && plan !== null) {
    if ('Relation Name' in plan && 'Schema' in plan) {
      yield `${String(plan.Schema)}.${String(plan['Relation Name'])}`;
    }
    for (const part of Object.values(plan)) yield* relationsIn(part);
  }
}

function relationsInNotice(message: string): string[] {
  const start = message.indexOf('plan:\n');
  if (!message.startsWith('duration:') || start < 0) return [];
  return [...relationsIn(JSON.parse(message.slice(start + 'plan:\n'.length)))];
}

const counters = `
  SELECT schemaname || '.' || relname AS relation,
    coalesce(seq_scan, 0) + coalesce(idx_scan, 0)
      + n_tup_ins + n_tup_upd + n_tup_del AS touches
  FROM pg_stat_xact_user_tables`;

async function countersNow(client: Client): Promise<Map<string, number>> {
  const { rows } = await client.query<{ relation: string; touches: string }>(counters);
  return new Map(rows.map((row) => [row.relation, Number(row.touches)]));
}

/** Plans and counters: a plan does not show where inserted rows went, counters not what a scan
 * would have visited had it not ended early. */
async function relationsTouched(client: Client, hot: HotStatement): Promise<Set<string>> {
  const touched = new Set<string>();
  const listen = (notice: { message?: string | undefined }) => {
    for (const relation of relationsInNotice(notice.message ?? '')) touched.add(relation);
  };
  await client.query('BEGIN');
  try {
    const before = await countersNow(client);
    client.on('notice', listen);
    await client.query('SET LOCAL auto_explain.log_min_duration = 0');
    await client.query({ text: hot.text, values: [...(hot.parameters ?? [])] });
    await client.query('SET LOCAL auto_explain.log_min_duration = -1');
    client.removeListener('notice', listen);
    for (const [relation, touches] of await countersNow(client)) {
      if (touches > (before.get(relation) ?? 0)) touched.add(relation);
    }
    return touched;
  } finally {
    client.removeListener('notice', listen);
    await client.query('ROLLBACK');
  }
}

function touchesOf(tables: readonly string[], relations: ReadonlySet<string>): Touch[] {
  return tables.flatMap((table) => {
    const partitions = [...relations].flatMap((relation) => {
      if (relation === `${originals}.${table}`) return [-1];
      const prefix = `public.${table}_p`;
      const number = relation.startsWith(prefix) ? Number(relation.slice(prefix.length)) : NaN;
      return Number.isInteger(number) ? [number] : [];
    });
    return partitions.length === 0 ? [] : [{ table, partitions: partitions.sort((a, b) => a - b) }];
  });
}

/** What is wrong, in a sentence; undefined when one bucket was touched. */
function breach(touches: readonly Touch[]): string | undefined {
  if (touches.length === 0) return 'touches no hot table';
  for (const { table, partitions } of touches) {
    if (partitions.includes(-1)) return `reaches ${table} around its partitions`;
    if (partitions.length > 1) return `touches ${partitions.length} partitions of ${table}`;
  }
  const numbers = new Set(touches.flatMap(({ partitions }) => partitions));
  if (numbers.size === 1) return undefined;
  const where = touches.map(({ table, partitions }) => `${table} ${partitions[0]}`);
  return `touches different partitions: ${where.join(', ')}`;
}

async function watchingClient(test: TestDatabase): Promise<Client> {
  const client = new Client(test.administrator);
  client.on('error', () => {});
  await client.connect();
  await client.query(`
    LOAD 'auto_explain';
    SET auto_explain.log_nested_statements = on;
    SET auto_explain.log_format = json;
    SET auto_explain.log_verbose = on;
    SET auto_explain.log_level = notice;
    SET client_min_messages = notice;
    -- Planned for the values at hand, as Citus routes them.
    SET plan_cache_mode = force_custom_plan;`);
  return client;
}

/** A clone of the migrated schema whose hot tables are partitioned by bucket. */
export async function oneBucketProbe(options: OneBucketOptions): Promise<OneBucketProbe> {
  const { tables, partitions = 16 } = options;
  const test = await testDatabase({ migrations: options.migrations });
  const client = await watchingClient(test);
  const touches = async (hot: HotStatement) =>
    touchesOf(tables, await relationsTouched(client, hot));
  const close = async () => {
    await client.end();
    await test.drop();
  };
  try {
    await client.query(`CREATE SCHEMA ${originals}`);
    for (const table of tables) await partition(client, table, partitions);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    test,
    touches,
    assertOneBucket: async (hot) => {
      const problem = breach(await touches(hot));
      if (problem === undefined) return;
      throw new assert.AssertionError({ message: `${hot.name ?? hot.text}: ${problem}` });
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

export interface AssertOneBucketOptions extends OneBucketOptions {
  readonly statements: readonly HotStatement[];
  /** Fills in the rows the statements need. */
  readonly prepare?: (test: TestDatabase) => Promise<void>;
}

/** All statements in one call; the error names every breach. */
export async function assertOneBucket(options: AssertOneBucketOptions): Promise<void> {
  const probe = await oneBucketProbe(options);
  try {
    await options.prepare?.(probe.test);
    const breaches: string[] = [];
    for (const hot of options.statements) {
      const problem = breach(await probe.touches(hot));
      if (problem !== undefined) breaches.push(`${hot.name ?? hot.text}: ${problem}`);
    }
    assert.deepEqual(breaches, [], 'hot statements touch more than one bucket');
  } finally {
    await probe.close();
  }
}
