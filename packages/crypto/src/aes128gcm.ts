// Records of RFC 8188 ("aes128gcm"): a stream in authenticated pieces, each bound to its place, the
// last one marked. attachment.ts cuts and joins; this file knows one record at a time.

import { bufferSource, concatBytes, utf8 } from './bytes.ts';

/** Delimiter octet and authentication tag in each record (RFC 8188 §2). */
export const recordOverhead = 17;
const tagBytes = 16;
const saltBytes = 16;
const fixedHeaderBytes = saltBytes + 5;
/** A record number goes into the low octets of the nonce; we stay where a double counts exactly. */
const sequenceMax = 2 ** 48;

export type RecordHeader = {
  readonly salt: Uint8Array;
  readonly recordSize: number;
  readonly keyId: Uint8Array;
};

/** salt (16), record size (4, big endian), length of key id (1), key id: RFC 8188 §2.1. */
export function writeRecordHeader({ salt, recordSize, keyId }: RecordHeader): Uint8Array {
  const fixed = new Uint8Array(fixedHeaderBytes);
  fixed.set(salt);
  new DataView(fixed.buffer).setUint32(saltBytes, recordSize);
  fixed[fixedHeaderBytes - 1] = keyId.length;
  return concatBytes(fixed, keyId);
}

/** Undefined until enough octets are there, and for a record size the RFC calls invalid. */
export function readRecordHeader(
  bytes: Uint8Array,
): { readonly header: RecordHeader; readonly length: number } | undefined {
  if (bytes.length < fixedHeaderBytes) return undefined;
  const recordSize = new DataView(bytes.buffer, bytes.byteOffset).getUint32(saltBytes);
  const length = fixedHeaderBytes + bytes[fixedHeaderBytes - 1]!;
  if (bytes.length < length || recordSize <= recordOverhead) return undefined;
  const salt = bytes.slice(0, saltBytes);
  return { header: { salt, recordSize, keyId: bytes.slice(fixedHeaderBytes, length) }, length };
}

export type RecordKeys = { readonly key: CryptoKey; readonly nonce: Uint8Array };

/** HKDF with the salt of the header (RFC 8188 §2.2, §2.3). */
export async function deriveRecordKeys(keying: Uint8Array, salt: Uint8Array): Promise<RecordKeys> {
  const base = await crypto.subtle.importKey('raw', bufferSource(keying), 'HKDF', false, [
    'deriveBits',
  ]);
  const derive = async (label: string, bytes: number): Promise<Uint8Array<ArrayBuffer>> => {
    const info = bufferSource(utf8(`Content-Encoding: ${label}\0`));
    const how = { name: 'HKDF', hash: 'SHA-256', salt: bufferSource(salt), info };
    return new Uint8Array(await crypto.subtle.deriveBits(how, base, bytes * 8));
  };
  const raw = await derive('aes128gcm', 16);
  const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt', 'decrypt']);
  return { key, nonce: await derive('nonce', 12) };
}

/** The record's number XORed into the nonce: records cannot change places (RFC 8188 §2.3). */
function nonceOf({ nonce }: RecordKeys, sequence: number): Uint8Array<ArrayBuffer> {
  if (sequence >= sequenceMax) throw new RangeError('too many records');
  const own = Uint8Array.from(nonce);
  const view = new DataView(own.buffer);
  view.setUint32(8, view.getUint32(8) ^ (sequence % 2 ** 32));
  view.setUint32(4, view.getUint32(4) ^ Math.floor(sequence / 2 ** 32));
  return own;
}

export type Place = { readonly sequence: number; readonly isLast: boolean };

export async function sealRecord(
  keys: RecordKeys,
  { sequence, isLast }: Place,
  plaintext: Uint8Array,
): Promise<Uint8Array> {
  const how = { name: 'AES-GCM', iv: nonceOf(keys, sequence) };
  const delimited = concatBytes(plaintext, Uint8Array.of(isLast ? 2 : 1));
  return new Uint8Array(await crypto.subtle.encrypt(how, keys.key, delimited));
}

/**
 * Undefined when the record is not the one that belongs here. Zeros after the delimiter are
 * padding.
 */
export async function openRecord(
  keys: RecordKeys,
  { sequence, isLast }: Place,
  record: Uint8Array,
): Promise<Uint8Array | undefined> {
  if (record.length <= tagBytes) return undefined;
  const how = { name: 'AES-GCM', iv: nonceOf(keys, sequence) };
  const opened = await crypto.subtle
    .decrypt(how, keys.key, bufferSource(record))
    .catch(() => undefined);
  if (opened === undefined) return undefined;
  const delimited = new Uint8Array(opened);
  const end = delimited.findLastIndex((octet) => octet !== 0);
  return end >= 0 && delimited[end] === (isLast ? 2 : 1) ? delimited.subarray(0, end) : undefined;
}
