// The journal passes the contract of every store, and loses nothing but a half-written last line.
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testStore } from '@siegel/client/store-contract';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openJournalStore } from './journal-store.ts';

testStore('journal', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'siegel-journal-'));
  return {
    open: () => openJournalStore(folder),
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  };
});

describe('journal', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'siegel-journal-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const write = (key: string, value: number) => ({
    collection: 'meta' as const,
    key,
    value: Uint8Array.of(value),
  });

  test('a torn last line is cut off, everything before it stays', async () => {
    const store = await openJournalStore(folder);
    await store.commit([write('a', 1)]);
    await store.commit([write('b', 2)]);
    await store.close();
    const path = join(folder, 'journal');
    const whole = statSync(path).size;
    for (const torn of ['deadbeef [["meta","c"', 'deadbeef [["meta","c","AA=="]]\n']) {
      appendFileSync(path, torn);
      const again = await openJournalStore(folder);
      expect(await again.get('meta', 'b')).toEqual(Uint8Array.of(2));
      expect(await again.get('meta', 'c')).toBeUndefined();
      await again.close();
      expect(statSync(path).size).toBe(whole);
    }
  });

  test('damage in the middle is said, not passed over', async () => {
    const store = await openJournalStore(folder);
    for (const key of ['a', 'b', 'c']) await store.commit([write(key, 1)]);
    await store.close();
    const path = join(folder, 'journal');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"b"', '"x"'));
    await expect(openJournalStore(folder)).rejects.toMatchObject({ code: 'state-corrupt' });
  });

  test('nobody opens it twice', async () => {
    const store = await openJournalStore(folder);
    await expect(openJournalStore(folder)).rejects.toMatchObject({ code: 'state-conflict' });
    await store.close();
    await (await openJournalStore(folder)).close();
  });

  test('a journal that is mostly old values is written anew', async () => {
    const store = await openJournalStore(folder);
    const large = new Uint8Array(64 * 1024).fill(7);
    for (let round = 0; round < 30; round += 1) {
      await store.commit([{ collection: 'session', key: 'a', value: large }, write('n', round)]);
    }
    await store.close();
    const before = statSync(join(folder, 'journal')).size;
    const again = await openJournalStore(folder);
    expect(await again.get('meta', 'n')).toEqual(Uint8Array.of(29));
    expect((await again.get('session', 'a'))?.length).toBe(large.length);
    await again.commit([write('after', 1)]);
    await again.close();
    expect(statSync(join(folder, 'journal')).size).toBeLessThan(before / 10);
    const third = await openJournalStore(folder);
    expect(await third.get('meta', 'after')).toEqual(Uint8Array.of(1));
    await third.close();
  });
});
