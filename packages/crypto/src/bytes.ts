// Small operations on octets that every part of this package needs; none of them knows what the
// octets mean.

import { base64url } from 'jose';

/** base64url without padding (RFC 7515 §2), as all bytes are written in JSON. */
export const toBase64Url = (bytes: Uint8Array): string => base64url.encode(bytes);

/** Throws on characters that are not base64url. */
export const fromBase64Url = (text: string): Uint8Array => base64url.decode(text);

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Throws on octets that are not UTF-8: a lossy reading would let two names look alike. */
export const fromUtf8 = (bytes: Uint8Array): string =>
  new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);

/** Takes the same time wherever the first difference is; lengths are public. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index += 1) difference |= a[index]! ^ b[index]!;
  return difference === 0;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** WebCrypto takes no view over shared memory; this copies only in that case. */
export const bufferSource = ({
  buffer,
  byteOffset,
  length,
}: Uint8Array): Uint8Array<ArrayBuffer> =>
  buffer instanceof ArrayBuffer
    ? new Uint8Array(buffer, byteOffset, length)
    : Uint8Array.from(new Uint8Array(buffer, byteOffset, length));

/** Stops the work item when the code itself is wrong. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`Assertion failed: ${message}`);
}
