// Between octets in the store and base64url on the wire, and numbers that must not be guessed.

export const toBytes = (text: string): Buffer => Buffer.from(text, 'base64url');

export const toText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** RFC 4648 base32 without padding; five octets give eight letters. */
export function toBase32(bytes: Uint8Array): string {
  let letters = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    for (; bits >= 5; bits -= 5) letters += base32[(held >> (bits - 5)) & 31];
    held &= (1 << bits) - 1;
  }
  return letters;
}

/** A whole number in 0 … below - 1, each equally likely; `below` at most 2^53. */
export function randomBelow(random: (bytes: number) => Uint8Array, below: number): number {
  const range = 2 ** 53;
  const fair = range - (range % below);
  for (;;) {
    const bytes = Buffer.from(random(7));
    const drawn = (bytes.readUInt8(0) & 31) * 2 ** 48 + bytes.readUIntBE(1, 6);
    if (drawn < fair) return drawn % below;
  }
}

/** A Graph-style id: fifteen random digits, the first one not zero; below 2^53. */
export const randomNumericId = (random: (bytes: number) => Uint8Array): number =>
  10 ** 14 + randomBelow(random, 9 * 10 ** 14);
