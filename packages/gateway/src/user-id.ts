// The per-business user id (the Cloud API's BSUID): two businesses cannot find out that they talk with the same person.

import { createHmac } from 'node:crypto';

const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const lettersPerId = 32;

/**
 * `CC.` and 32 letters or digits: HMAC-SHA-256 of the subject under a secret that never leaves this gateway. The country
 * is the firm's, because a person's is read off a number that the firm may not know.
 */
export function userIdOf(input: {
  secret: Uint8Array;
  country: string;
  /** an account id, or a number for which no account is known yet */
  subject: string;
}): string {
  const hash = createHmac('sha256', input.secret).update(`user-id:${input.subject}`).digest();
  let left = BigInt(`0x${hash.toString('hex')}`);
  let text = '';
  while (text.length < lettersPerId) {
    text += letters[Number(left % 62n)];
    left /= 62n;
  }
  return `${input.country}.${text}`;
}
