// The suite every store adapter passes. An adapter's own test is a few lines: how to open its store, and open it again.

import { SiegelError } from '@siegel/protocol/errors';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Collection, Store, StoreRange } from './store.ts';

export type StoreUnderTest<Transaction> = {
  /** Opens the store of this test; a second call opens the same data again, as after a restart. */
  readonly open: () => Promise<Store<Transaction>>;
  /** Takes everything away that the test made. */
  readonly remove: () => Promise<void>;
};

const octets = (...values: number[]): Uint8Array => Uint8Array.from(values);
const everything: StoreRange = { prefix: '', limit: 1000 };

/** `prepare` runs before each test. With `noticesSecondWriter`: after a second `open` the older one's commit must fail. */
export function testStore<Transaction>(
  name: string,
  prepare: () => Promise<StoreUnderTest<Transaction>>,
  traits: { readonly noticesSecondWriter: boolean } = { noticesSecondWriter: false },
): void {
  describe(`store contract: ${name}`, () => {
    let subject: StoreUnderTest<Transaction>;
    let store: Store<Transaction>;
    beforeEach(async () => {
      subject = await prepare();
      store = await subject.open();
    });
    afterEach(async () => {
      await store.close();
      await subject.remove();
    });
    const current = () => ({ store, subject });
    const reopen = async () => {
      await store.close();
      store = await subject.open();
      return store;
    };
    testRecords(current, reopen);
    testRanges(current);
    testCommits(current, reopen);
    testManyCommits(current, reopen);
    if (traits.noticesSecondWriter) testSecondWriter(current);
  });
}

type Current<Transaction> = () => {
  readonly store: Store<Transaction>;
  readonly subject: StoreUnderTest<Transaction>;
};
type Reopen<Transaction> = () => Promise<Store<Transaction>>;

const put = (key: string, value: Uint8Array, collection: Collection = 'message') => ({
  collection,
  key,
  value,
});

function testRecords<Transaction>(current: Current<Transaction>, reopen: Reopen<Transaction>) {
  test('what is not there is undefined', async () => {
    expect(await current().store.get('meta', 'nothing')).toBeUndefined();
    expect(await current().store.list('meta', everything)).toEqual([]);
  });

  test('a value comes back as it was, also the empty one and one of every octet', async () => {
    const { store } = current();
    const all = Uint8Array.from({ length: 256 }, (_, index) => index);
    const large = new Uint8Array(300_000).fill(7);
    await store.commit([
      put('empty', octets(), 'meta'),
      put('all', all, 'meta'),
      put('large', large, 'session'),
    ]);
    expect(await store.get('meta', 'empty')).toEqual(octets());
    expect(await store.get('meta', 'all')).toEqual(all);
    const read = await store.get('session', 'large');
    expect(read?.length === large.length && read.every((octet) => octet === 7)).toBe(true);
  });

  test('a view into a larger buffer is stored as the view', async () => {
    const { store } = current();
    await store.commit([put('view', octets(1, 2, 3, 4).subarray(1, 3))]);
    expect(await store.get('message', 'view')).toEqual(octets(2, 3));
  });

  test('neither the stored nor a read value changes with the caller’s array', async () => {
    const { store } = current();
    const value = octets(1);
    const committed = store.commit([put('a', value)]);
    value[0] = 9;
    await committed;
    const read = await store.get('message', 'a');
    read![0] = 8;
    expect(await store.get('message', 'a')).toEqual(octets(1));
  });

  test('the same key in two collections is two records', async () => {
    const { store } = current();
    await store.commit([put('a', octets(1), 'outbox'), put('a', octets(2), 'inbox')]);
    expect(await store.get('outbox', 'a')).toEqual(octets(1));
    expect(await store.get('inbox', 'a')).toEqual(octets(2));
  });

  test('a later write replaces, an undefined value deletes, deleting nothing is no error', async () => {
    const { store } = current();
    await store.commit([put('a', octets(1))]);
    await store.commit([put('a', octets(2))]);
    expect(await store.get('message', 'a')).toEqual(octets(2));
    const gone = { collection: 'message', key: 'a', value: undefined } as const;
    await store.commit([gone, { ...gone, key: 'never' }]);
    expect(await store.get('message', 'a')).toBeUndefined();
  });

  test('of two writes to one key in one commit the later counts', async () => {
    const { store } = current();
    await store.commit([
      put('a', octets(1)),
      put('a', octets(2)),
      put('b', octets(1)),
      { collection: 'message', key: 'b', value: undefined },
    ]);
    expect(await store.get('message', 'a')).toEqual(octets(2));
    expect(await store.get('message', 'b')).toBeUndefined();
  });

  test('what was committed is there after opening again', async () => {
    await current().store.commit([put('a', octets(1)), put('b', octets(2), 'meta')]);
    const store = await reopen();
    expect(await store.get('message', 'a')).toEqual(octets(1));
    expect(await store.get('meta', 'b')).toEqual(octets(2));
  });
}

function testRanges<Transaction>(current: Current<Transaction>) {
  const keysOf = async (range: StoreRange) =>
    (await current().store.list('message', range)).map(({ key }) => key);
  const fill = (...keys: string[]) =>
    current().store.commit(keys.map((key, index) => put(key, octets(index))));

  test('a list is in the order of code points, whatever the order of writing', async () => {
    // U+FF5E sorts before U+1F600 by code point and after it by UTF-16 unit.
    await fill('b', 'a/2', 'a/10', '\u{1F600}', '\uFF5E', 'Z', 'ä');
    const sorted = ['Z', 'a/10', 'a/2', 'b', 'ä', '\uFF5E', '\u{1F600}'];
    expect(await keysOf(everything)).toEqual(sorted);
    expect(await keysOf({ ...everything, reverse: true })).toEqual(sorted.toReversed());
  });

  test('a list gives keys with their values', async () => {
    await fill('a', 'b');
    expect(await current().store.list('message', everything)).toEqual([
      { key: 'a', value: octets(0) },
      { key: 'b', value: octets(1) },
    ]);
  });

  test('a prefix is taken literally', async () => {
    await fill('a/1', 'a/2', 'a%', 'a_', 'a', 'b/1', 'A/1', 'a0');
    expect(await keysOf({ prefix: 'a/', limit: 10 })).toEqual(['a/1', 'a/2']);
    expect(await keysOf({ prefix: 'a%', limit: 10 })).toEqual(['a%']);
    expect(await keysOf({ prefix: 'a_', limit: 10 })).toEqual(['a_']);
    expect(await keysOf({ prefix: 'a', limit: 10 })).toEqual(['a', 'a%', 'a/1', 'a/2', 'a0', 'a_']);
  });

  test('after and before exclude their own key, which need not exist', async () => {
    await fill('k/1', 'k/2', 'k/3', 'k/4');
    expect(await keysOf({ prefix: 'k/', after: 'k/1', before: 'k/4', limit: 9 })).toEqual([
      'k/2',
      'k/3',
    ]);
    expect(await keysOf({ prefix: 'k/', after: 'k/15', limit: 9 })).toEqual(['k/2', 'k/3', 'k/4']);
    expect(await keysOf({ prefix: 'k/', before: 'k/35', limit: 9, reverse: true })).toEqual([
      'k/3',
      'k/2',
      'k/1',
    ]);
    expect(await keysOf({ prefix: 'k/', after: 'k/4', limit: 9 })).toEqual([]);
    expect(await keysOf({ prefix: 'k/', after: 'k/3', before: 'k/2', limit: 9 })).toEqual([]);
  });

  test('bounds outside the prefix do not widen it', async () => {
    await fill('a/1', 'b/1', 'c/1');
    expect(await keysOf({ prefix: 'b/', after: 'a/', before: 'd/', limit: 9 })).toEqual(['b/1']);
  });

  test('a limit cuts at the end the list begins from', async () => {
    await fill('a', 'b', 'c');
    expect(await keysOf({ prefix: '', limit: 2 })).toEqual(['a', 'b']);
    expect(await keysOf({ prefix: '', limit: 2, reverse: true })).toEqual(['c', 'b']);
    expect(await keysOf({ prefix: '', limit: 0 })).toEqual([]);
  });

  test('pages by `after` meet every record once', async () => {
    const keys = Array.from({ length: 25 }, (_, index) => `k/${String(index).padStart(3, '0')}`);
    await fill(...keys);
    const met: string[] = [];
    for (let page = 0; page < 10; page += 1) {
      const last = met.at(-1);
      const range = { prefix: 'k/', limit: 7, ...(last === undefined ? {} : { after: last }) };
      met.push(...(await keysOf(range)));
    }
    expect(met).toEqual(keys);
  });
}

function testCommits<Transaction>(current: Current<Transaction>, reopen: Reopen<Transaction>) {
  test('nothing is written when `within` throws, and its error comes out', async () => {
    const { store } = current();
    await store.commit([put('a', octets(1))]);
    const failing = store.commit([put('a', octets(2)), put('b', octets(2))], async () => {
      throw new RangeError('no');
    });
    await expect(failing).rejects.toBeInstanceOf(RangeError);
    expect(await store.get('message', 'a')).toEqual(octets(1));
    expect(await store.get('message', 'b')).toBeUndefined();
    const again = await reopen();
    expect(await again.get('message', 'a')).toEqual(octets(1));
  });

  test('`within` runs once, before the commit resolves', async () => {
    let runs = 0;
    await current().store.commit([put('a', octets(1))], async () => {
      runs += 1;
    });
    expect(runs).toBe(1);
  });

  test('a commit without writes runs `within`, and one without both is no error', async () => {
    let runs = 0;
    await current().store.commit([], async () => {
      runs += 1;
    });
    await current().store.commit([]);
    expect(runs).toBe(1);
  });
}

function testManyCommits<Transaction>(current: Current<Transaction>, reopen: Reopen<Transaction>) {
  test('the store is usable after a commit that failed', async () => {
    const { store } = current();
    const failing = store.commit([put('a', octets(1))], async () => {
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    await store.commit([put('a', octets(2))]);
    expect(await store.get('message', 'a')).toEqual(octets(2));
  });

  test('commits begun together are all applied, in the order in which they were begun', async () => {
    const { store } = current();
    const commits = Array.from({ length: 20 }, (_, index) =>
      store.commit([put('last', octets(index)), put(`k/${index}`, octets(index))]),
    );
    await Promise.all(commits);
    expect(await store.get('message', 'last')).toEqual(octets(19));
    expect((await store.list('message', { prefix: 'k/', limit: 100 })).length).toBe(20);
  });

  test('a large commit is one commit', async () => {
    const { store } = current();
    const writes = Array.from({ length: 500 }, (_, index) =>
      put(`k/${String(index).padStart(4, '0')}`, new Uint8Array(512).fill(index)),
    );
    await store.commit(writes);
    const entries = await store.list('message', { prefix: 'k/', limit: 1000 });
    expect(entries.length).toBe(500);
    expect(entries[300]?.value).toEqual(new Uint8Array(512).fill(300));
  });

  test('closing waits for commits under way', async () => {
    const { store } = current();
    const committed = store.commit([put('a', octets(1))]);
    await store.close();
    await committed;
    const again = await reopen();
    expect(await again.get('message', 'a')).toEqual(octets(1));
  });
}

function testSecondWriter<Transaction>(current: Current<Transaction>) {
  test('a second writer is noticed by the first, which writes nothing any more', async () => {
    const { store, subject } = current();
    await store.commit([put('a', octets(1))]);
    const second = await subject.open();
    await second.commit([put('a', octets(2))]);
    const late = store.commit([put('a', octets(3)), put('b', octets(3))]);
    await expect(late).rejects.toMatchObject({ code: 'state-conflict' });
    await expect(late).rejects.toBeInstanceOf(SiegelError);
    expect(await second.get('message', 'a')).toEqual(octets(2));
    expect(await second.get('message', 'b')).toBeUndefined();
    await second.close();
  });
}
