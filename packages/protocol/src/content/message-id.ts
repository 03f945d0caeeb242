// The id of a content: draft-ietf-mimi-content-08 §3.2, over sender, room, content and salt. Two devices compute the same one.

import { type AccountId, type ConversationId, MessageId } from '../ids.ts';

/** Hash algorithm 1 of the IANA named-information registry: SHA-256. */
const sha256Id = 0x01;

export const senderUri = (account: AccountId): string => `siegel://account/${account}`;
export const roomUri = (conversation: ConversationId): string =>
  `siegel://conversation/${conversation}`;

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** base64url without padding (RFC 4648 §5); here because this package knows no platform. */
export function toBase64Url(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(at, at + 3);
    const left = bytes.length - at;
    text += alphabet[a >> 2];
    text += alphabet[((a & 3) << 4) | (b >> 4)];
    if (left > 1) text += alphabet[((b & 15) << 2) | (c >> 6)];
    if (left > 2) text += alphabet[c & 63];
  }
  return text;
}

const values = new Map(Array.from(alphabet, (letter, value) => [letter, value]));

/** The octets of base64url text. @throws RangeError for a letter outside the alphabet or an impossible length */
export function fromBase64Url(text: string): Uint8Array {
  if (text.length % 4 === 1) throw new RangeError('not base64url: impossible length');
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (const letter of text) {
    const value = values.get(letter);
    if (value === undefined) throw new RangeError('not base64url: a letter outside the alphabet');
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at] = (held >> bits) & 0xff;
      at += 1;
    }
  }
  return bytes;
}

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const lengthOf = (bytes: Uint8Array): Uint8Array =>
  Uint8Array.of(bytes.length >> 8, bytes.length & 0xff);

/** Computes the id; `sha256` is handed in because this package has no cryptography. */
export async function messageIdOf(input: {
  sender: AccountId;
  conversation: ConversationId;
  /** the encoded MIMI content */
  content: Uint8Array;
  /** its salt, hashed again at the end against length extension */
  salt: Uint8Array;
  sha256: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>;
}): Promise<MessageId> {
  const sender = ascii(senderUri(input.sender));
  const room = ascii(roomUri(input.conversation));
  const pieces = [lengthOf(sender), sender, lengthOf(room), room, input.content, input.salt];
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  const id = new Uint8Array(32);
  id[0] = sha256Id;
  id.set((await input.sha256(whole)).subarray(0, 31), 1);
  return MessageId.parse(toBase64Url(id));
}
