// The memory store passes the contract of all stores.

import { testStore } from '../store.contract.ts';
import { createMemoryShelf, createMemoryStore } from './memory.ts';

testStore('memory', async () => {
  const shelf = createMemoryShelf();
  return { open: async () => createMemoryStore(shelf), remove: async () => undefined };
});
