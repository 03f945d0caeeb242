// The database's half of a profile: time inside each SQL function, and how many updates could stay
// within their page (HOT).

import { connectDatabase, type Database } from '@siegel/database';
import type { TestDatabase } from '@siegel/database/testing';

export type PostgresProfile = {
  /** Prints what was spent since the last call. */
  readonly print: () => Promise<void>;
  readonly close: () => Promise<void>;
};

type Counts = Map<string, number[]>;

/** Before the first connection is opened: only new ones count. */
export async function profilePostgres(test: TestDatabase): Promise<PostgresProfile> {
  const database = connectDatabase(test.administrator, { poolMax: 1 });
  await database.query(
    `ALTER DATABASE "${test.administrator.database}" SET track_functions = 'all'`,
  );
  let functionsBefore: Counts = new Map();
  let tablesBefore: Counts = new Map();
  return {
    async print() {
      const functions = await count(
        database,
        `SELECT funcname AS name, ARRAY[calls, self_time] AS counts FROM pg_stat_user_functions`,
      );
      const tables = await count(
        database,
        `SELECT relname AS name, ARRAY[n_tup_upd, n_tup_hot_upd] AS counts FROM pg_stat_user_tables`,
      );
      for (const [name, [calls, ms]] of difference(functions, functionsBefore)) {
        const each = (ms! / calls!).toFixed(2);
        console.log(
          `    ${ms!.toFixed(0).padStart(6)} ms  ${name}, ${calls} calls, ${each} ms each`,
        );
      }
      for (const [name, [all, hot]] of difference(tables, tablesBefore)) {
        const share = ((hot! / all!) * 100).toFixed(0);
        console.log(`    ${String(all).padStart(6)} rows of ${name} updated, ${share} % HOT`);
      }
      functionsBefore = functions;
      tablesBefore = tables;
    },
    close: () => database.close(),
  };
}

async function count(database: Database, statement: string): Promise<Counts> {
  // Connections hand in their counts when they have been idle for a moment.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await database.query('SELECT pg_stat_clear_snapshot()');
  const { rows } = await database.query<{ name: string; counts: (number | string)[] }>(statement);
  return new Map(rows.map(({ name, counts }) => [name, counts.map(Number)]));
}

const difference = (after: Counts, before: Counts): [string, number[]][] =>
  [...after]
    .map(([name, counts]): [string, number[]] => [
      name,
      counts.map((value, index) => value - (before.get(name)?.[index] ?? 0)),
    ])
    .filter(([, [first]]) => first! > 0)
    .sort(([, [, a]], [, [, b]]) => b! - a!);
