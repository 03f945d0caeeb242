// The PostgreSQL store passes the client's contract, and its lease keeps a second writer out.

import { randomUUID } from 'node:crypto';
import { testStore } from '@siegel/client/store-contract';
import { expect, test } from 'vitest';
import { createPostgresStore } from '../src/store/postgres-store.ts';
import { acquireWriterLease } from '../src/store/writer-lease.ts';
import { gatewayDatabase } from './support.ts';

testStore(
  'PostgreSQL',
  async () => {
    const test = await gatewayDatabase();
    let time = 0;
    return {
      async open() {
        // Each opener comes after the lease of the one before has run out.
        time += 20_000;
        const at = time;
        const lease = await acquireWriterLease({
          database: test.database,
          name: 'account',
          holder: randomUUID(),
          now: () => at,
          leaseMs: 10_000,
        });
        return createPostgresStore({ database: test.database, lease });
      },
      remove: () => test.drop(),
    };
  },
  { noticesSecondWriter: true },
);

test('a lease is taken once, renewed by its holder, and free after release or expiry', async () => {
  await using test = await gatewayDatabase();
  let time = 1000;
  const acquire = () =>
    acquireWriterLease({
      database: test.database,
      name: 'account',
      holder: randomUUID(),
      now: () => time,
      leaseMs: 10_000,
    });
  const first = await acquire();
  await expect(acquire()).rejects.toMatchObject({ code: 'state-conflict' });
  time += 9_000;
  expect(await first.renew()).toBe(true);
  time += 9_000;
  await expect(acquire()).rejects.toMatchObject({ code: 'state-conflict' });
  await first.release();
  const second = await acquire();
  expect(second.fence).toBeGreaterThan(first.fence);
  expect(await first.renew()).toBe(false);
  time += 10_000;
  const third = await acquire();
  expect(await second.renew()).toBe(false);
  await second.release();
  expect(await third.renew()).toBe(true);
});

test('`within` writes in the same transaction as the records', async () => {
  await using test = await gatewayDatabase();
  let committed = 0;
  const store = createPostgresStore({ database: test.database, onCommit: () => (committed += 1) });
  const write = { collection: 'meta', key: 'a', value: Uint8Array.of(1) } as const;
  const setting = (name: string) => (transaction: { query: (text: string) => Promise<unknown> }) =>
    transaction.query(`INSERT INTO settings (name, value) VALUES ('${name}', '')`).then(() => {});
  await store.commit([write], setting('kept'));
  const undone = store.commit([{ ...write, value: Uint8Array.of(2) }], async (transaction) => {
    await setting('lost')(transaction);
    throw new Error('no');
  });
  await expect(undone).rejects.toThrow('no');
  const { rows } = await test.database.query('SELECT name FROM settings');
  expect(rows).toEqual([{ name: 'kept' }]);
  expect(await store.get('meta', 'a')).toEqual(Uint8Array.of(1));
  expect(committed).toBe(1);
});
