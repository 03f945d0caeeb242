// The contract on an imitation of IndexedDB; `indexeddb.browser.test.ts` runs it in a real Chromium.

import { IDBFactory, IDBKeyRange } from 'fake-indexeddb';
import { expect, test } from 'vitest';
import { testStore } from '../store.contract.ts';
import { openIndexedDbStore } from './indexeddb.ts';

globalThis.IDBKeyRange = IDBKeyRange;

testStore('IndexedDB (imitated)', async () => {
  const indexedDB = new IDBFactory();
  return {
    open: () => openIndexedDbStore({ indexedDB, name: 'siegel' }),
    remove: async () => undefined,
  };
});

test('a value that somebody moved to another key is refused', async () => {
  const indexedDB = new IDBFactory();
  const store = await openIndexedDbStore({ indexedDB, name: 'siegel' });
  await store.commit([{ collection: 'meta', key: 'a', value: Uint8Array.of(1) }]);
  await store.close();
  const database = await new Promise<IDBDatabase>((resolve) => {
    const request = indexedDB.open('siegel');
    request.addEventListener('success', () => resolve(request.result));
  });
  await new Promise<void>((resolve) => {
    const transaction = database.transaction('records', 'readwrite');
    const records = transaction.objectStore('records');
    const read = records.get(Uint8Array.of(0, 'a'.charCodeAt(0)));
    read.addEventListener('success', () => {
      records.put(read.result, Uint8Array.of(0, 'b'.charCodeAt(0)));
    });
    transaction.addEventListener('complete', () => resolve());
  });
  database.close();
  const again = await openIndexedDbStore({ indexedDB, name: 'siegel' });
  await expect(again.get('meta', 'b')).rejects.toMatchObject({ code: 'state-corrupt' });
  expect(await again.get('meta', 'a')).toEqual(Uint8Array.of(1));
});
