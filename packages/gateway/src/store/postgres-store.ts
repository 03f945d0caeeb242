// The account's store on PostgreSQL. What the gateway keeps beside it (log, webhooks) is written by `within`, in the same
// transaction, so that neither exists without the other.

import type { Store, StoreEntry, StoreRange, StoreWrite } from '@siegel/client';
import type { Database, Queryable } from '@siegel/database';
import type { WriterLease } from './writer-lease.ts';

/** The end of a prefix range: the smallest text above every key that begins with it, by code point. */
const prefixEnd = (prefix: string): string => `${prefix}\u{10ffff}`;

/** A copy, so that nobody changes a value while it waits; of several writes to one place the last. */
function lastWrites(writes: readonly StoreWrite[]): StoreWrite[] {
  const last = new Map<string, StoreWrite>();
  for (const { collection, key, value } of writes) {
    const copy = value === undefined ? undefined : Buffer.from(value);
    last.set(`${collection}/${key}`, { collection, key, value: copy });
  }
  return [...last.values()];
}

async function apply(transaction: Queryable, last: readonly StoreWrite[]): Promise<void> {
  const kept = last.filter((write) => write.value !== undefined);
  const removed = last.filter((write) => write.value === undefined);
  if (kept.length > 0) {
    await transaction.queryNamed(
      'keep-account-records',
      `INSERT INTO account_records (collection, key, value)
       SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
       ON CONFLICT (collection, key) DO UPDATE SET value = excluded.value`,
      [
        kept.map(({ collection }) => collection),
        kept.map(({ key }) => key),
        kept.map(({ value }) => value),
      ],
    );
  }
  if (removed.length > 0) {
    await transaction.queryNamed(
      'remove-account-records',
      `DELETE FROM account_records USING unnest($1::text[], $2::text[]) AS gone (collection, key)
       WHERE account_records.collection = gone.collection AND account_records.key = gone.key`,
      [removed.map(({ collection }) => collection), removed.map(({ key }) => key)],
    );
  }
}

async function list(
  database: Database,
  collection: string,
  range: StoreRange,
): Promise<StoreEntry[]> {
  const { prefix, after, before, limit, reverse } = range;
  const direction = reverse === true ? 'DESC' : 'ASC';
  const { rows } = await database.query<{ key: string; value: Buffer }>(
    `SELECT key, value FROM account_records
     WHERE collection = $1 AND key >= $2 AND key < $3 AND starts_with(key, $2)
       AND ($4::text IS NULL OR key > $4) AND ($5::text IS NULL OR key < $5)
     ORDER BY key ${direction} LIMIT $6`,
    [collection, prefix, prefixEnd(prefix), after ?? null, before ?? null, limit],
  );
  return rows.map(({ key, value }) => ({ key, value: new Uint8Array(value) }));
}

export type PostgresStoreOptions = {
  readonly database: Database;
  /** without it every writer may write: for tools that only read, and tests */
  readonly lease?: WriterLease;
  /** called after each durable commit */
  readonly onCommit?: () => void;
};

export function createPostgresStore(options: PostgresStoreOptions): Store<Queryable> {
  const { database, lease, onCommit } = options;
  /** Commits are applied in the order in which they were begun; the account is one writer. */
  let last: Promise<void> = Promise.resolve();
  async function commitNow(
    writes: readonly StoreWrite[],
    within: ((transaction: Queryable) => Promise<void>) | undefined,
  ): Promise<void> {
    // One attempt: `within` belongs to the caller, who alone knows whether it may run twice.
    await database.transaction(
      async (transaction) => {
        await lease?.hold(transaction);
        await apply(transaction, writes);
        await within?.(transaction);
      },
      { attemptsMax: 1 },
    );
    onCommit?.();
  }
  return {
    async get(collection, key) {
      const { rows } = await database.queryNamed<{ value: Buffer }>(
        'get-account-record',
        'SELECT value FROM account_records WHERE collection = $1 AND key = $2',
        [collection, key],
      );
      return rows[0] === undefined ? undefined : new Uint8Array(rows[0].value);
    },
    list: (collection, range) => list(database, collection, range),
    commit(writes, within) {
      const copied = lastWrites(writes);
      const done = last.then(() => commitNow(copied, within));
      last = done.catch(() => {});
      return done;
    },
    close: () => last,
  };
}
