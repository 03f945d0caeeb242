// Media on their way to and from the relay's blobs: padded, sealed in records that can be opened
// from the middle, named by a descriptor that travels only inside sealed content.

import { sha256 } from '@noble/hashes/sha2.js';
import { SiegelError } from '@siegel/protocol/errors';
import { limits } from '@siegel/protocol/limits';
import {
  deriveRecordKeys,
  openRecord,
  type RecordKeys,
  readRecordHeader,
  recordOverhead,
  sealRecord,
  writeRecordHeader,
} from './aes128gcm.ts';
import { assert, concatBytes, equalBytes } from './bytes.ts';
import { paddedLength } from './padding.ts';
import type { CryptoProvider } from './provider.ts';

/**
 * What a reader needs beside blob id and secret; the fields of an attachment in
 * `@siegel/protocol/content`.
 */
export type AttachmentDescriptor = {
  /** octets of the plaintext */
  readonly bytes: number;
  /** octets as stored at the relay */
  readonly sealedBytes: number;
  /** fresh for each attachment */
  readonly key: Uint8Array;
  /** SHA-256 over the sealed octets */
  readonly sealedSha256: Uint8Array;
};

const recordSize = limits.attachmentChunkBytes;
const recordPlainBytes = recordSize - recordOverhead;
const keyBytes = 32;
const saltBytes = 16;
const headerBytes = 21;

/**
 * Exactly how long an attachment of `bytes` octets becomes: known before the first octet, for quota
 * and blob.
 */
export function sealedLength(bytes: number): number {
  const padded = paddedLength(bytes);
  return headerBytes + padded + recordOverhead * Math.ceil(padded / recordPlainBytes);
}

export type SealedAttachment = {
  /** To be read once, to its end. */
  readonly sealed: AsyncIterable<Uint8Array>;
  /** Only after the end: it holds length and hash. */
  descriptor(): AttachmentDescriptor;
};

type Chunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

export function sealAttachment(provider: CryptoProvider, plaintext: Chunks): SealedAttachment {
  const key = provider.randomBytes(keyBytes);
  const salt = provider.randomBytes(saltBytes);
  const hash = sha256.create();
  const counted = { plain: 0, sealed: 0, isOver: false };
  async function* sealed(): AsyncGenerator<Uint8Array> {
    for await (const piece of records(padded(plaintext, counted), key, salt)) {
      counted.sealed += piece.length;
      hash.update(piece);
      yield piece;
    }
    counted.isOver = true;
  }
  return {
    sealed: sealed(),
    descriptor() {
      assert(counted.isOver, 'the sealed octets were read to their end');
      const { plain: bytes, sealed: sealedBytes } = counted;
      return { bytes, sealedBytes, key, sealedSha256: hash.clone().digest() };
    },
  };
}

async function* padded(plaintext: Chunks, counted: { plain: number }): AsyncGenerator<Uint8Array> {
  for await (const piece of plaintext) {
    counted.plain += piece.length;
    if (sealedLength(counted.plain) > limits.blobBytesMax) {
      throw new SiegelError('request-too-large', 'attachment');
    }
    yield piece;
  }
  let missing = paddedLength(counted.plain) - counted.plain;
  while (missing > 0) {
    const piece = new Uint8Array(Math.min(missing, recordPlainBytes));
    yield piece;
    missing -= piece.length;
  }
}

async function* records(
  plaintext: AsyncIterable<Uint8Array>,
  key: Uint8Array,
  salt: Uint8Array,
): AsyncGenerator<Uint8Array> {
  yield writeRecordHeader({ salt, recordSize, keyId: new Uint8Array() });
  const keys = await deriveRecordKeys(key, salt);
  let sequence = 0;
  for await (const { bytes, isLast } of cut(plaintext, recordPlainBytes)) {
    yield await sealRecord(keys, { sequence, isLast }, bytes);
    sequence += 1;
  }
}

/**
 * Pieces of exactly `size` octets, the last of at most that. A full piece waits until it is known
 * whether more comes.
 */
async function* cut(
  source: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<{ readonly bytes: Uint8Array; readonly isLast: boolean }> {
  let piece = new Uint8Array(size);
  let filled = 0;
  for await (const chunk of source) {
    let at = 0;
    while (at < chunk.length) {
      if (filled === size) {
        yield { bytes: piece, isLast: false };
        piece = new Uint8Array(size);
        filled = 0;
      }
      const taken = chunk.subarray(at, at + size - filled);
      piece.set(taken, filled);
      filled += taken.length;
      at += taken.length;
    }
  }
  yield { bytes: piece.subarray(0, filled), isLast: true };
}

const corrupt = (detail: string): SiegelError => new SiegelError('attachment-corrupt', detail);

/**
 * Gives only octets that were authenticated; throws `attachment-corrupt` as soon as anything is not
 * as it was sealed.
 */
export async function* openAttachment(
  descriptor: AttachmentDescriptor,
  sealed: Chunks,
): AsyncGenerator<Uint8Array> {
  const layout = layoutOf(descriptor);
  const hash = sha256.create();
  const source = checkedLength(sealed, descriptor.sealedBytes);
  let keys: RecordKeys | undefined;
  let sequence = 0;
  for await (const { bytes, isLast } of cutAfterHeader(source, hash)) {
    if (keys === undefined) {
      keys = await keysFromHeader(descriptor.key, bytes);
      continue;
    }
    // The hash says that this is the very blob the sender spoke of; its last record waits for it.
    if (isLast && !equalBytes(hash.digest(), descriptor.sealedSha256)) throw corrupt('hash');
    const plaintext = await openRecord(keys, { sequence, isLast }, bytes);
    if (plaintext?.length !== layout.plainBytesOf(sequence)) throw corrupt('record');
    const kept = withoutPadding(plaintext, sequence, descriptor.bytes);
    if (kept.length > 0) yield kept;
    sequence += 1;
  }
  if (sequence !== layout.recordCount) throw corrupt('too short');
}

/** The header as a piece of its own, then whole records; every octet goes through `hash`. */
async function* cutAfterHeader(
  source: AsyncIterable<Uint8Array>,
  hash: { update(bytes: Uint8Array): unknown },
): AsyncGenerator<{ readonly bytes: Uint8Array; readonly isLast: boolean }> {
  let header = new Uint8Array();
  async function* afterHeader(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      hash.update(chunk);
      const missing = headerBytes - header.length;
      if (missing > 0) header = concatBytes(header, chunk.subarray(0, missing));
      if (chunk.length > missing) yield missing > 0 ? chunk.subarray(missing) : chunk;
    }
  }
  let isFirst = true;
  for await (const piece of cut(afterHeader(), recordSize)) {
    if (isFirst) yield { bytes: header, isLast: false };
    isFirst = false;
    yield piece;
  }
}

async function* checkedLength(sealed: Chunks, bytes: number): AsyncGenerator<Uint8Array> {
  let seen = 0;
  for await (const chunk of sealed) {
    seen += chunk.length;
    if (seen > bytes) throw corrupt('too long');
    yield chunk;
  }
  if (seen !== bytes) throw corrupt('too short');
}

async function keysFromHeader(key: Uint8Array, bytes: Uint8Array): Promise<RecordKeys> {
  const read = readRecordHeader(bytes);
  const isOurs = read?.header.recordSize === recordSize && read.length === headerBytes;
  if (read === undefined || !isOurs) throw corrupt('header');
  return deriveRecordKeys(key, read.header.salt);
}

/**
 * Where the records of an attachment lie. Refuses a descriptor whose two lengths do not belong
 * together.
 */
function layoutOf({ bytes, sealedBytes }: AttachmentDescriptor) {
  if (bytes < 0 || sealedLength(bytes) !== sealedBytes) throw corrupt('length');
  const total = paddedLength(bytes);
  return {
    recordCount: Math.ceil(total / recordPlainBytes),
    plainBytesOf: (sequence: number) =>
      Math.min(recordPlainBytes, total - sequence * recordPlainBytes),
  };
}

const withoutPadding = (plaintext: Uint8Array, sequence: number, bytes: number): Uint8Array =>
  plaintext.subarray(0, Math.max(0, bytes - sequence * recordPlainBytes));

/** Fetches sealed octets `from` (included) to `to` (excluded), as an HTTP range does. */
export type ReadSealed = (from: number, to: number) => Promise<Uint8Array>;

/**
 * Plaintext from `start` (included) to `end` (excluded), for seeking and for resuming: each record
 * is authenticated in its place. The hash over the whole is not checked here; `openAttachment`
 * does.
 */
export async function* openRange(
  descriptor: AttachmentDescriptor,
  { start, end }: { readonly start: number; readonly end: number },
  readSealed: ReadSealed,
): AsyncGenerator<Uint8Array> {
  const { recordCount, plainBytesOf } = layoutOf(descriptor);
  const stop = Math.min(end, descriptor.bytes);
  if (start < 0 || start >= stop) return;
  const keys = await keysFromHeader(descriptor.key, await readSealed(0, headerBytes));
  const last = Math.floor((stop - 1) / recordPlainBytes);
  for (let sequence = Math.floor(start / recordPlainBytes); sequence <= last; sequence += 1) {
    const from = headerBytes + sequence * recordSize;
    const record = await readSealed(from, from + plainBytesOf(sequence) + recordOverhead);
    const isLast = sequence === recordCount - 1;
    const plaintext = await openRecord(keys, { sequence, isLast }, record);
    if (plaintext?.length !== plainBytesOf(sequence)) throw corrupt('record');
    const base = sequence * recordPlainBytes;
    yield plaintext.subarray(Math.max(0, start - base), stop - base);
  }
}

/** All pieces in one; for attachments that are small enough to hold. */
export async function collectBytes(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(piece);
  return concatBytes(...parts);
}
