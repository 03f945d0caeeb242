// Device tokens: 32 random octets whose first ten bits are the account's bucket, so that a token is found without a
// global index (docs/decisions/0003). Only the SHA-256 is stored (rule A4).

import { createHash } from 'node:crypto';

/** `random` are 32 fresh octets. */
export function tokenInBucket(bucket: number, random: Uint8Array): string {
  const bytes = Buffer.from(random);
  bytes[0] = bucket >> 2;
  bytes[1] = ((bucket & 3) << 6) | ((bytes[1] ?? 0) & 0x3f);
  return bytes.toString('base64url');
}

/** Undefined when the text is no token at all. */
export function readToken(token: string): { bucket: number; hash: Buffer } | undefined {
  if (!/^[A-Za-z0-9_-]{43}$/.test(token)) return undefined;
  const bytes = Buffer.from(token, 'base64url');
  const bucket = ((bytes[0] ?? 0) << 2) | ((bytes[1] ?? 0) >> 6);
  return { bucket, hash: hashSecret(bytes) };
}

/** What is kept of a secret of full entropy: tokens, join tokens, blob secrets, enrolment codes. */
export const hashSecret = (secret: Uint8Array | string): Buffer =>
  createHash('sha256').update(secret).digest();
