// Checks that a webhook came from whoever holds the app secret: HMAC-SHA-256 over the bytes as they
// arrived, before anything is parsed.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** The value of `X-Hub-Signature-256` for these bytes. */
export const signatureOf = (body: Uint8Array, appSecret: string): string =>
  `sha256=${createHmac('sha256', appSecret).update(body).digest('hex')}`;

const digest = (text: string) => createHash('sha256').update(text).digest();

/** Compares secrets of any length without telling by time where they differ. */
export function sameSecret(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected));
}

export const signatureIsRight = (
  body: Uint8Array,
  header: string | undefined,
  appSecret: string,
): boolean => header !== undefined && sameSecret(header, signatureOf(body, appSecret));
