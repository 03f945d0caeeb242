// The plaintext inside MLS: franking key and content as deterministic CBOR, padded to a Padmé
// length. Written just before sealing, read just after opening.

import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import { equalBytes } from './bytes.ts';
import { frankingKeyBytes } from './franking.ts';
import { padFrame, unpadFrame } from './padding.ts';

const frameVersion = 1;

export type SealedFrame = { readonly frankingKey: Uint8Array; readonly content: Uint8Array };

const encodeFrame = ({ frankingKey, content }: SealedFrame): Uint8Array =>
  encode([frameVersion, frankingKey, content], rfc8949EncodeOptions);

export const writeSealedFrame = (frame: SealedFrame): Uint8Array => padFrame(encodeFrame(frame));

/**
 * Undefined for anything `writeSealedFrame` would not have written (RFC 8949 §4.2 leaves one
 * spelling).
 */
export function readSealedFrame(plaintext: Uint8Array): SealedFrame | undefined {
  const bytes = unpadFrame(plaintext);
  if (bytes === undefined) return undefined;
  try {
    const fields: unknown = decode(bytes, { strict: true, allowIndefinite: false });
    if (!Array.isArray(fields) || fields.length !== 3) return undefined;
    const [version, frankingKey, content]: unknown[] = fields;
    const isFrame =
      version === frameVersion &&
      frankingKey instanceof Uint8Array &&
      frankingKey.length === frankingKeyBytes &&
      content instanceof Uint8Array;
    if (!isFrame) return undefined;
    const frame = { frankingKey, content };
    return equalBytes(encodeFrame(frame), bytes) ? frame : undefined;
  } catch {
    return undefined;
  }
}
