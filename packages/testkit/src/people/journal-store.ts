// A store for people who must survive SIGKILL: one append-only file, each commit a line that is on
// disk before the commit resolves.
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Collection, Store, StoreWrite } from '@siegel/client';
import { createMemoryShelf, createMemoryStore, type MemoryShelf } from '@siegel/client/node';
import { SiegelError } from '@siegel/protocol/errors';
import * as z from 'zod/mini';
import { takeProcessLock } from '../town/process-lock.ts';

/** Collection, key, value in base64; a missing value deletes. */
const Line = z.array(z.tuple([z.string(), z.string(), z.nullable(z.string())]));
type Line = z.infer<typeof Line>;

const newline = 0x0a;
const checksumChars = 8;
/** A journal this many times larger than what it holds is written anew. */
const wasteMax = 4;
const rewriteFromBytes = 1024 * 1024;

function encodeLine(writes: readonly StoreWrite[]): Buffer {
  const line: Line = writes.map(({ collection, key, value }) => [
    collection,
    key,
    value === undefined ? null : Buffer.from(value).toString('base64'),
  ]);
  const body = Buffer.from(JSON.stringify(line));
  const sum = crc32(body).toString(16).padStart(checksumChars, '0');
  return Buffer.concat([Buffer.from(`${sum} `), body, Buffer.from([newline])]);
}

/** Undefined for a line that was not written whole. */
function decodeLine(bytes: Buffer): Line | undefined {
  const body = bytes.subarray(checksumChars + 1);
  if (
    crc32(body).toString(16).padStart(checksumChars, '0') !==
    bytes.toString('latin1', 0, checksumChars)
  ) {
    return undefined;
  }
  const parsed = Line.safeParse(JSON.parse(body.toString('utf8')));
  return parsed.success ? parsed.data : undefined;
}

const isCollection = (name: string): name is Collection => /^[a-z-]+$/.test(name);

function apply(shelf: MemoryShelf, line: Line): void {
  for (const [name, key, value] of line) {
    if (!isCollection(name)) continue;
    const collection = shelf.collections.get(name) ?? new Map<string, Uint8Array>();
    shelf.collections.set(name, collection);
    if (value === null) collection.delete(key);
    else collection.set(key, Uint8Array.from(Buffer.from(value, 'base64')));
  }
}

/** Fills the shelf and answers how many octets were whole lines. */
function replay(bytes: Buffer, shelf: MemoryShelf): number {
  let at = 0;
  while (at < bytes.length) {
    const end = bytes.indexOf(newline, at);
    const line = end < 0 ? undefined : decodeLine(bytes.subarray(at, end));
    if (line === undefined) {
      // Only the last line may be torn: it was being written when the process was killed.
      if (end < 0 || end === bytes.length - 1) return at;
      throw new SiegelError('state-corrupt', 'A journal is damaged in its middle.');
    }
    apply(shelf, line);
    at = end + 1;
  }
  return at;
}

function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}

/** Writes what the shelf holds as a new journal and puts it in the old one's place. */
function rewrite(path: string, shelf: MemoryShelf): void {
  const draft = `${path}.new`;
  const file = openSync(draft, 'w', 0o600);
  for (const [collection, entries] of shelf.collections) {
    for (const [key, value] of entries) writeSync(file, encodeLine([{ collection, key, value }]));
  }
  fsyncSync(file);
  closeSync(file);
  renameSync(draft, path);
  syncFolder(path);
}

const bytesHeld = (shelf: MemoryShelf): number =>
  [...shelf.collections.values()]
    .flatMap((entries) => [...entries.values()])
    .reduce((sum, value) => sum + value.length, 0);

function openJournal(path: string, shelf: MemoryShelf): number {
  const isNew = !existsSync(path);
  const bytes = isNew ? Buffer.alloc(0) : readFileSync(path);
  const whole = replay(bytes, shelf);
  if (whole > rewriteFromBytes && whole > wasteMax * bytesHeld(shelf)) {
    rewrite(path, shelf);
    return openSync(path, 'a', 0o600);
  }
  const file = openSync(path, 'a', 0o600);
  if (whole < bytes.length) ftruncateSync(file, whole);
  if (isNew) syncFolder(path);
  return file;
}

/**
 * @throws SiegelError `state-conflict` while another process has it open, `state-corrupt` when it
 * cannot be read
 */
export async function openJournalStore(folder: string): Promise<Store<undefined>> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lock = takeProcessLock(join(folder, 'journal.lock'));
  const shelf = createMemoryShelf();
  let file: number;
  try {
    file = openJournal(join(folder, 'journal'), shelf);
  } catch (error) {
    lock.release();
    throw error;
  }
  const memory = createMemoryStore(shelf);
  let closed = false;
  return {
    get: (collection, key) => memory.get(collection, key),
    list: (collection, range) => memory.list(collection, range),
    commit(writes, within) {
      // Encoded now: the caller may change its arrays while an earlier commit is still at work.
      const line = encodeLine(writes);
      return memory.commit(writes, async (transaction) => {
        await within?.(transaction);
        if (closed) throw new SiegelError('state-conflict', 'The store is closed.');
        if (writes.length === 0) return;
        writeSync(file, line);
        fdatasyncSync(file);
      });
    },
    async close() {
      if (closed) return;
      await memory.close();
      closed = true;
      closeSync(file);
      lock.release();
    },
  };
}
