// The pool against a real server that is killed and comes back, and the classes of its errors.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorCode } from '../src/error-code.ts';
import {
  connectDatabase,
  type DatabaseAddress,
  type EmbeddedPostgres,
  isRetryable,
  retryConflicts,
  startEmbeddedPostgres,
} from '../src/index.ts';
import { type TestDatabase, testDatabase } from '../src/testing.ts';
import { clearHome, temporaryHome } from './launching.ts';

let test: TestDatabase;

beforeAll(async () => {
  test = await testDatabase();
  await test.database.query('CREATE TABLE t (id bigint PRIMARY KEY, n bigint NOT NULL)');
  await test.database.query('INSERT INTO t VALUES (1, 0), (2, 0)');
});

afterAll(async () => {
  await test.drop();
});

describe('values and errors', () => {
  it('reads bigint as number and refuses one beyond 2^53', async () => {
    const { database } = test;
    const { rows } = await database.query(
      'SELECT 9007199254740991::int8 AS a, ARRAY[1,null]::int8[] AS b',
    );
    expect(rows).toEqual([{ a: 9007199254740991, b: [1, null] }]);
    await expect(database.query('SELECT 9007199254740992::int8')).rejects.toMatchObject({
      code: 'unsafe-integer',
    });
    await database.query('SELECT 1');
  });

  it('names the broken constraint and keeps values out of the message', async () => {
    const failed = test.database.query('INSERT INTO t VALUES (1, 4242)');
    await expect(failed).rejects.toMatchObject({
      code: 'query-failed',
      retryable: false,
      sqlState: '23505',
      constraint: 't_pkey',
    });
    const typed = test.database.query('SELECT $1::text::int', ['geheim']);
    await expect(typed).rejects.toMatchObject({ sqlState: '22P02' });
    await expect(typed).rejects.not.toThrow(/geheim/);
  });

  it('classifies refusals of other kinds', async () => {
    const elsewhere = connectDatabase({ ...test.address, database: 'missing' });
    await expect(elsewhere.ping()).rejects.toMatchObject({ code: 'database-refused' });
    await elsewhere.close();
    await expect(elsewhere.ping()).rejects.toMatchObject({ code: 'database-closed' });
    const nowhere = connectDatabase({ ...test.address, host: '/nonexistent' });
    await expect(nowhere.ping()).rejects.toMatchObject({
      code: 'database-unavailable',
      retryable: true,
    });
    await nowhere.close();
    const hasty = connectDatabase(test.address, { statementTimeoutMs: 50 });
    await expect(hasty.query('SELECT pg_sleep(5)')).rejects.toMatchObject({
      code: 'statement-timeout',
    });
    await hasty.close();
  });

  it('refuses more waiting callers than its bound', async () => {
    const narrow = connectDatabase(test.address, { poolMax: 1, waitingMax: 1 });
    const outcome = await Promise.allSettled(
      [1, 2, 3].map(() => narrow.query('SELECT pg_sleep(0.05)')),
    );
    expect(outcome.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect(outcome[2]).toMatchObject({ reason: { code: 'overloaded', retryable: true } });
    await narrow.close();
  });

  it('serves Kysely, with the same errors', async () => {
    const db = test.database.kysely<{ t: { id: number; n: number } }>();
    expect(await db.selectFrom('t').select('n').where('id', '=', 1).execute()).toEqual([{ n: 0 }]);
    await expect(db.insertInto('t').values({ id: 1, n: 1 }).execute()).rejects.toMatchObject({
      code: 'query-failed',
      constraint: 't_pkey',
    });
  });
});

describe('transactions', () => {
  it('rolls back what throws, and what failed unseen', async () => {
    const { database } = test;
    const failed = database.transaction(async (transaction) => {
      await transaction.query('UPDATE t SET n = 99');
      throw new Error('mine');
    });
    await expect(failed).rejects.toThrow('mine');
    const swallowed = database.transaction(async (transaction) => {
      await transaction.query('UPDATE t SET n = 99');
      await transaction.query('SELECT 1/0').catch(() => {});
    });
    await expect(swallowed).rejects.toMatchObject({ code: 'query-failed' });
    expect((await database.query('SELECT n FROM t WHERE n = 99')).count).toBe(0);
  });

  it('repeats serialization failures until all increments are there', async () => {
    const increments = Array.from({ length: 5 }, () =>
      test.database.transaction(
        async (transaction) => {
          const { rows } = await transaction.query<{ n: number }>('SELECT n FROM t WHERE id = 2');
          await transaction.query('UPDATE t SET n = $1 WHERE id = 2', [(rows[0]?.n ?? 0) + 1]);
        },
        { isolation: 'serializable', attemptsMax: 10 },
      ),
    );
    await Promise.all(increments);
    expect((await test.database.query('SELECT n FROM t WHERE id = 2')).rows).toEqual([{ n: 5 }]);
  });

  it('gives up on endless conflicts after its bound', async () => {
    let attempts = 0;
    const endless = retryConflicts(async () => {
      attempts += 1;
      await test.database.query("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$");
    }, 3);
    await expect(endless).rejects.toMatchObject({ code: 'conflict', retryable: true });
    expect(attempts).toBe(3);
  });
});

describe('PostgreSQL killed in the middle of traffic', () => {
  const home = temporaryHome();
  let cluster: EmbeddedPostgres;
  let address: DatabaseAddress;

  beforeAll(async () => {
    cluster = await startEmbeddedPostgres({ home, name: 'relay' });
    address = cluster.administrator();
  });

  afterAll(async () => {
    await cluster.stop();
    clearHome(home);
  });

  it('fails retryably meanwhile, heals, and loses nothing acknowledged', async () => {
    const database = connectDatabase(address, { connectTimeoutMs: 500 });
    await database.query('CREATE TABLE acknowledged (n int PRIMARY KEY)');
    const acknowledged: number[] = [];
    const failures = new Set<string>();
    let sinceKill = 0;
    let failedOnce = false;
    for (let n = 0; n < 2_000_000 && sinceKill < 200; n += 1) {
      if (n === 100) process.kill(cluster.pid(), 'SIGKILL');
      try {
        await database.transaction(async (transaction) => {
          await transaction.query('INSERT INTO acknowledged VALUES ($1)', [n]);
        });
        acknowledged.push(n);
        if (failedOnce) sinceKill += 1;
      } catch (error) {
        failedOnce = true;
        failures.add(`${errorCode(error)} ${isRetryable(error)}`);
      }
    }
    expect([...failures]).toEqual(['database-unavailable true']);
    const { rows } = await database.query<{ n: number }>('SELECT n FROM acknowledged');
    const stored = new Set(rows.map(({ n }) => n));
    expect(acknowledged.filter((n) => !stored.has(n))).toEqual([]);
    await database.close();
  });
});
