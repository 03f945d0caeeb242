// The contract in a real browser, and what lies in its database: ids in clear, nothing else.

import { expect, test } from 'vitest';
import { testStore } from '../store.contract.ts';
import { deleteIndexedDbStore, openIndexedDbStore } from './indexeddb.ts';

testStore('IndexedDB', async () => {
  const name = `siegel-${crypto.randomUUID()}`;
  return {
    open: () => openIndexedDbStore({ indexedDB, name }),
    remove: () => deleteIndexedDbStore({ indexedDB, name }),
  };
});

const open = (name: string) =>
  new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(name);
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(request.error));
  });

const all = (database: IDBDatabase, from: string) =>
  new Promise<unknown[]>((resolve) => {
    const request = database.transaction(from).objectStore(from).getAll();
    request.addEventListener('success', () => resolve(request.result));
  });

test('values lie sealed in the database, under a key that cannot be read out', async () => {
  const name = `siegel-${crypto.randomUUID()}`;
  const store = await openIndexedDbStore({ indexedDB, name });
  const text = 'the canary sings at noon';
  const value = new TextEncoder().encode(text);
  await store.commit([{ collection: 'message', key: 'c/1', value }]);
  await store.close();

  const database = await open(name);
  const [sealed] = (await all(database, 'records')) as Uint8Array[];
  const [key] = (await all(database, 'keys')) as CryptoKey[];
  database.close();
  const raw = Array.from(sealed!, (octet) => String.fromCharCode(octet)).join('');
  expect(raw).not.toContain(text);
  expect(raw).not.toContain('canary');
  expect(key?.extractable).toBe(false);
  await expect(crypto.subtle.exportKey('raw', key!)).rejects.toThrow();
  await deleteIndexedDbStore({ indexedDB, name });
});

test('two openings at once end up with one key', async () => {
  const name = `siegel-${crypto.randomUUID()}`;
  const [a, b] = await Promise.all([
    openIndexedDbStore({ indexedDB, name }),
    openIndexedDbStore({ indexedDB, name }),
  ]);
  await a.commit([{ collection: 'meta', key: 'a', value: Uint8Array.of(1) }]);
  expect(await b.get('meta', 'a')).toEqual(Uint8Array.of(1));
  await a.close();
  await b.close();
  await deleteIndexedDbStore({ indexedDB, name });
});
