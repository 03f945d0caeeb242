// The linking code: half of it finds the link at the relay, half is a secret the relay never sees (rule L2). Under that
// secret both devices prove to each other what the relay carries between them.

import type { CryptoProvider } from '@siegel/crypto';
import { toBase64Url } from '@siegel/protocol/content';
import { type AccountId, type DeviceId, uuidBytes } from '@siegel/protocol/ids';
import { LinkId } from '@siegel/protocol/relay';
import type * as z from 'zod/mini';
import { fromBase32, inGroups, normaliseBase32, toBase32 } from './base32.ts';

const linkIdOctets = 5;
const linkIdLetters = 8;
/** 120 bits: the relay has the proofs and may guess for as long as it likes. */
const secretOctets = 15;
const secretLetters = 24;

export type LinkCode = {
  readonly linkId: z.infer<typeof LinkId>;
  readonly secret: Uint8Array;
};

export const newLinkCode = (provider: CryptoProvider): LinkCode => ({
  linkId: LinkId.parse(toBase32(provider.randomBytes(linkIdOctets))),
  secret: provider.randomBytes(secretOctets),
});

/** Eight groups of four letters, for reading, typing and as the text of a QR code. */
export const writeLinkCode = ({ linkId, secret }: LinkCode): string =>
  inGroups(`${linkId}${toBase32(secret)}`);

/** Undefined for anything that is no linking code. */
export function readLinkCode(typed: string): LinkCode | undefined {
  if (typed.length > 4 * (linkIdLetters + secretLetters)) return undefined;
  const text = normaliseBase32(typed);
  if (text.length !== linkIdLetters + secretLetters) return undefined;
  const linkId = LinkId.safeParse(text.slice(0, linkIdLetters));
  const secret = fromBase32(text.slice(linkIdLetters));
  return linkId.success && secret !== undefined ? { linkId: linkId.data, secret } : undefined;
}

/** The new device's: this leaf key was sent by somebody who saw the code. */
export const joinProof = (
  provider: CryptoProvider,
  code: LinkCode,
  leafKey: Uint8Array,
): Promise<string> => proof(provider, code, ['siegel link join 1', code.linkId, leafKey]);

/** The main device's: this certificate was made by the device that showed the code. */
export const completeProof = (
  provider: CryptoProvider,
  code: LinkCode,
  device: {
    readonly accountId: AccountId;
    readonly deviceId: DeviceId;
    readonly certificate: string;
  },
): Promise<string> =>
  proof(provider, code, [
    'siegel link complete 1',
    code.linkId,
    uuidBytes(device.accountId),
    String(device.deviceId),
    device.certificate,
  ]);

/** Each field with its length before it, so that no two lists of fields are the same octets. */
async function proof(
  provider: CryptoProvider,
  { secret }: LinkCode,
  fields: readonly (string | Uint8Array)[],
): Promise<string> {
  const parts = fields.map((field) =>
    typeof field === 'string' ? new TextEncoder().encode(field) : field,
  );
  const message = new Uint8Array(parts.reduce((sum, part) => sum + 4 + part.length, 0));
  const view = new DataView(message.buffer);
  let at = 0;
  for (const part of parts) {
    view.setUint32(at, part.length);
    message.set(part, at + 4);
    at += 4 + part.length;
  }
  return toBase64Url(await provider.hmacSha256(secret, message));
}

/** Takes the same time wherever the first difference is. */
export function sameProof(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let at = 0; at < a.length; at += 1) difference |= a.charCodeAt(at) ^ b.charCodeAt(at);
  return difference === 0;
}
