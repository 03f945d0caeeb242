// A store that lives as long as its object: for tests, simulations and tools that keep nothing.

import type { Collection, Store, StoreEntry, StoreRange, StoreWrite } from '../store.ts';

/** Two stores over one `MemoryShelf` are two openings of one database: what a crash leaves is what was committed. */
export type MemoryShelf = { readonly collections: Map<Collection, Map<string, Uint8Array>> };

export const createMemoryShelf = (): MemoryShelf => ({ collections: new Map() });

export function createMemoryStore(shelf: MemoryShelf = createMemoryShelf()): Store<undefined> {
  let before: Promise<unknown> = Promise.resolve();
  const collectionOf = (name: Collection): Map<string, Uint8Array> => {
    const known = shelf.collections.get(name) ?? new Map<string, Uint8Array>();
    shelf.collections.set(name, known);
    return known;
  };
  const apply = ({ collection, key, value }: StoreWrite) => {
    if (value === undefined) collectionOf(collection).delete(key);
    else collectionOf(collection).set(key, value.slice());
  };
  return {
    async get(collection, key) {
      return collectionOf(collection).get(key)?.slice();
    },
    async list(collection, range) {
      return listed(collectionOf(collection), range);
    },
    commit(writes, within) {
      // Copied now: the caller may change its array while an earlier commit is still at work.
      const copied = writes.map((write) => ({ ...write, value: write.value?.slice() }));
      const earlier = before;
      const done = (async () => {
        await earlier;
        await within?.(undefined);
        copied.forEach(apply);
      })();
      before = done.catch(() => undefined);
      return done;
    },
    async close() {
      await before;
    },
  };
}

function listed(entries: ReadonlyMap<string, Uint8Array>, range: StoreRange): StoreEntry[] {
  const keys = Array.from(entries.keys())
    .filter(
      (key) =>
        key.startsWith(range.prefix) &&
        (range.after === undefined || byCodePoint(key, range.after) > 0) &&
        (range.before === undefined || byCodePoint(key, range.before) < 0),
    )
    .sort(byCodePoint);
  if (range.reverse === true) keys.reverse();
  return keys.slice(0, range.limit).map((key) => ({ key, value: entries.get(key)!.slice() }));
}

/** JavaScript compares UTF-16 units, which puts surrogates before U+E000; the port says code points. */
function byCodePoint(a: string, b: string): number {
  if (a === b) return 0;
  const left = Array.from(a);
  const right = Array.from(b);
  const at = left.findIndex((letter, index) => letter !== right[index]);
  if (at === -1) return -1;
  return at >= right.length || left[at]!.codePointAt(0)! > right[at]!.codePointAt(0)! ? 1 : -1;
}
