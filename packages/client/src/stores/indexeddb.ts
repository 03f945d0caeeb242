// The store of a browser: one IndexedDB database per account, values sealed with AES-GCM under a key that no script can
// read out. It lies in the same database, so whoever copies the profile's files has ids and sizes only as long as the
// browser guards the key; it protects against reading the files' text, not against somebody who runs as the user.

import { SiegelError } from '@siegel/protocol/errors';
import type { Collection, Store, StoreRange, StoreWrite } from '../store.ts';

const schemaVersion = 1;
const records = 'records';
const keys = 'keys';
const recordKey = 'records/1';
const nonceBytes = 12;
const valueVersion = 1;

const collections = {
  meta: 0,
  'key-package': 1,
  conversation: 2,
  session: 3,
  message: 4,
  'message-id': 5,
  outbox: 6,
  inbox: 7,
  received: 8,
  contact: 9,
} as const satisfies Record<Collection, number>;

/**
 * Where a record lies: collection and key as octets. IndexedDB compares octets one by one, and UTF-8 keeps the order of
 * code points, which its own order of strings (UTF-16 units) does not.
 */
const pathOf = (collection: Collection, key: string): Uint8Array<ArrayBuffer> => {
  const text = new TextEncoder().encode(key);
  const path = new Uint8Array(1 + text.length);
  path[0] = collections[collection];
  path.set(text, 1);
  return path;
};

const keyOf = (path: IDBValidKey): string =>
  new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
    new Uint8Array(path as ArrayBuffer).subarray(1),
  );

/** `indexedDB` is handed in by the entry point. The caller holds the one-engine lock of the profile. */
export async function openIndexedDbStore(options: {
  readonly indexedDB: IDBFactory;
  readonly name: string;
}): Promise<Store<undefined>> {
  const database = await openDatabase(options.indexedDB, options.name);
  const cipher = createCipher(await loadKey(database));
  let closed = false;
  // Another tab of a newer version asks us to go; holding on would block it for ever.
  database.onversionchange = () => {
    closed = true;
    database.close();
  };
  let before: Promise<unknown> = Promise.resolve();
  const opened = (): IDBDatabase => {
    if (closed) throw new SiegelError('state-conflict', 'the database was closed');
    return database;
  };

  return {
    async get(collection, key) {
      const path = pathOf(collection, key);
      const store = opened().transaction(records, 'readonly').objectStore(records);
      const sealed: unknown = await resultOf(store.get(path));
      return sealed === undefined ? undefined : cipher.open(path, sealed);
    },
    async list(collection, range) {
      const bounds = boundsOf(options.indexedDB, collection, range);
      if (bounds === undefined || range.limit <= 0) return [];
      return Promise.all(
        (await readRange(opened(), bounds, range)).map(async ({ path, sealed }) => ({
          key: keyOf(path),
          value: await cipher.open(new Uint8Array(path as ArrayBuffer), sealed),
        })),
      );
    },
    commit(writes, within) {
      const copied = writes.map((write) => ({ ...write, value: write.value?.slice() }));
      const earlier = before;
      const done = (async () => {
        // Sealed beforehand: a transaction of IndexedDB ends by itself when anything else is awaited.
        const sealed = await Promise.all(copied.map((write) => seal(cipher, write)));
        await earlier;
        await within?.(undefined);
        await applyAll(opened(), sealed);
      })();
      before = done.catch(() => undefined);
      return done;
    },
    async close() {
      await before;
      closed = true;
      database.close();
    },
  };
}

export const deleteIndexedDbStore = async (options: {
  readonly indexedDB: IDBFactory;
  readonly name: string;
}): Promise<void> => {
  await resultOf(options.indexedDB.deleteDatabase(options.name));
};

function openDatabase(factory: IDBFactory, name: string): Promise<IDBDatabase> {
  const request = factory.open(name, schemaVersion);
  request.onupgradeneeded = () => {
    request.result.createObjectStore(records);
    request.result.createObjectStore(keys);
  };
  return resultOf(request);
}

async function loadKey(database: IDBDatabase): Promise<CryptoKey> {
  const fresh = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, [
    'encrypt',
    'decrypt',
  ]);
  // Read and write in one transaction: two tabs opening at once must end up with one key.
  const transaction = database.transaction(keys, 'readwrite', { durability: 'strict' });
  const store = transaction.objectStore(keys);
  const known: unknown = await resultOf(store.get(recordKey));
  if (known === undefined) store.put(fresh, recordKey);
  await completed(transaction);
  if (known === undefined) return fresh;
  if (known instanceof CryptoKey) return known;
  throw new SiegelError('state-corrupt', 'the key of the store');
}

type Cipher = {
  seal(path: Uint8Array<ArrayBuffer>, value: Uint8Array): Promise<Uint8Array>;
  open(path: Uint8Array<ArrayBuffer>, sealed: unknown): Promise<Uint8Array>;
};

/** The path is authenticated too, so that nobody can move one record's value under another's key. */
const createCipher = (key: CryptoKey): Cipher => ({
  async seal(path, value) {
    const iv = crypto.getRandomValues(new Uint8Array(nonceBytes));
    const plain = Uint8Array.from(value);
    const text = await crypto.subtle.encrypt(
      { name: 'AES-GCM', iv, additionalData: path },
      key,
      plain,
    );
    const sealed = new Uint8Array(1 + nonceBytes + text.byteLength);
    sealed[0] = valueVersion;
    sealed.set(iv, 1);
    sealed.set(new Uint8Array(text), 1 + nonceBytes);
    return sealed;
  },
  async open(path, sealed) {
    const bytes = sealed instanceof Uint8Array ? Uint8Array.from(sealed) : new Uint8Array();
    if (bytes[0] !== valueVersion) throw new SiegelError('state-corrupt', 'a stored value');
    try {
      const plain = await crypto.subtle.decrypt(
        { name: 'AES-GCM', iv: bytes.subarray(1, 1 + nonceBytes), additionalData: path },
        key,
        bytes.subarray(1 + nonceBytes),
      );
      return new Uint8Array(plain);
    } catch (error) {
      throw new SiegelError('state-corrupt', 'a stored value', { cause: error });
    }
  },
});

type SealedWrite = {
  readonly path: Uint8Array<ArrayBuffer>;
  readonly sealed: Uint8Array | undefined;
};

async function seal(cipher: Cipher, write: StoreWrite): Promise<SealedWrite> {
  const path = pathOf(write.collection, write.key);
  const { value } = write;
  return { path, sealed: value === undefined ? undefined : await cipher.seal(path, value) };
}

/** One transaction: the browser applies all of it or nothing, and `strict` has it on disk before it says so. */
async function applyAll(database: IDBDatabase, writes: readonly SealedWrite[]): Promise<void> {
  if (writes.length === 0) return;
  const transaction = database.transaction(records, 'readwrite', { durability: 'strict' });
  const store = transaction.objectStore(records);
  for (const { path, sealed } of writes) {
    if (sealed === undefined) store.delete(path);
    else store.put(sealed, path);
  }
  await completed(transaction);
}

/** Undefined when nothing can lie inside. */
function boundsOf(
  factory: IDBFactory,
  collection: Collection,
  { prefix, after, before }: StoreRange,
): IDBKeyRange | undefined {
  const lowest = pathOf(collection, prefix);
  const highest = following(lowest);
  const from = after === undefined ? lowest : later(factory, lowest, pathOf(collection, after));
  const to = before === undefined ? highest : earlier(factory, highest, pathOf(collection, before));
  if (factory.cmp(from, to) >= 0) return undefined;
  return IDBKeyRange.bound(from, to, from !== lowest, true);
}

type Path = Uint8Array<ArrayBuffer>;

const later = (factory: IDBFactory, a: Path, b: Path): Path => (factory.cmp(a, b) > 0 ? a : b);
const earlier = (factory: IDBFactory, a: Path, b: Path): Path => (factory.cmp(a, b) < 0 ? a : b);

/** The first path after all that begin with this one: UTF-8 has no octet 0xFF, so the last octet can grow. */
function following(path: Path): Path {
  const next = path.slice();
  next[next.length - 1]! += 1;
  return next;
}

type Found = { readonly path: IDBValidKey; readonly sealed: unknown };

function readRange(
  database: IDBDatabase,
  bounds: IDBKeyRange,
  range: StoreRange,
): Promise<Found[]> {
  const direction = range.reverse === true ? 'prev' : 'next';
  const store = database.transaction(records, 'readonly').objectStore(records);
  const request = store.openCursor(bounds, direction);
  const found: Found[] = [];
  return new Promise((resolve, reject) => {
    request.addEventListener('error', () => reject(failureOf(request.error)));
    request.addEventListener('success', () => {
      const cursor = request.result;
      if (cursor === null || found.length >= range.limit) {
        resolve(found);
        return;
      }
      found.push({ path: cursor.key, sealed: cursor.value });
      cursor.continue();
    });
  });
}

function resultOf<Result>(request: IDBRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(failureOf(request.error)));
  });
}

function completed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.addEventListener('complete', () => resolve());
    transaction.addEventListener('abort', () => reject(failureOf(transaction.error)));
  });
}

/** A full disk, a profile that forbids storage, a database that broke: the device cannot keep what it must. */
const failureOf = (error: DOMException | null): SiegelError =>
  new SiegelError('database-unavailable', error?.name, { cause: error });
