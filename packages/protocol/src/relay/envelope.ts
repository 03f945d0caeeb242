// What the relay sees of a message beside its ciphertext. The same header is the MLS authenticated_data (RFC 9420 §6.3),
// so a recipient refuses an envelope whose header the sender did not sign (design §3).

import { encode, rfc8949EncodeOptions } from 'cborg';
import * as z from 'zod/mini';
import {
  AccountId,
  base64Url,
  ClientId,
  ConversationId,
  DeviceId,
  NumericId,
  uuidBytes,
} from '../ids.ts';

/** `message` is shown and may cost; `control` is never shown and always free. */
export const EnvelopeClass = z.enum(['message', 'control']);
export type EnvelopeClass = z.infer<typeof EnvelopeClass>;

/** `free-form` and `template` are messages, all others control. */
export const EnvelopeKind = z.enum([
  'free-form',
  'template',
  'commit',
  'receipt',
  'typing',
  'resend-request',
  'notice',
  'sync',
]);
export type EnvelopeKind = z.infer<typeof EnvelopeKind>;

export const TemplateCategory = z.enum(['marketing', 'utility', 'authentication']);
export type TemplateCategory = z.infer<typeof TemplateCategory>;

export const Generation = z.int().check(z.minimum(0), z.maximum(1_000_000));
export const Epoch = z.int().check(z.minimum(0), z.maximum(2 ** 48));
/** Milliseconds since 1970. */
export const Time = z.int().check(z.minimum(0), z.maximum(2 ** 48));

export const EnvelopeHeader = z.object({
  conversationId: ConversationId,
  generation: Generation,
  class: EnvelopeClass,
  kind: EnvelopeKind,
  clientId: ClientId,
  /** franking commitment: HMAC-SHA-256 over the content, its key sealed inside; absent for a commit */
  commitment: z.optional(base64Url(32, 32)),
  /** present exactly when kind is `template` */
  template: z.optional(z.object({ id: NumericId, category: TemplateCategory })),
});
export type EnvelopeHeader = z.infer<typeof EnvelopeHeader>;

/** True when class, kind, template and commitment agree with each other. */
export function headerIsConsistent(header: EnvelopeHeader): boolean {
  const isMessage = header.kind === 'free-form' || header.kind === 'template';
  return (
    (header.class === 'message') === isMessage &&
    (header.kind === 'template') === (header.template !== undefined) &&
    (header.kind === 'commit') === (header.commitment === undefined)
  );
}

/** A device of an account, as the relay addresses it. */
export const DeviceAddress = z.object({ accountId: AccountId, deviceId: DeviceId });
export type DeviceAddress = z.infer<typeof DeviceAddress>;

/** The relay's own franking tag: HMAC over commitment, sender, conversation, client id and time, under key `keyId`. */
export const RelayTag = z.object({
  keyId: z.string().check(z.maxLength(16)),
  value: base64Url(32, 32),
});
export type RelayTag = z.infer<typeof RelayTag>;

const headerVersion = 1;

/**
 * The header as MLS authenticated_data: deterministic CBOR (RFC 8949 §4.2), an array so that no key can be added.
 * Equal headers give equal bytes; a recipient compares bytes.
 */
export function encodeHeader(header: EnvelopeHeader): Uint8Array {
  return encode(
    [
      headerVersion,
      uuidBytes(header.conversationId),
      header.generation,
      header.class,
      header.kind,
      uuidBytes(header.clientId),
      header.commitment ?? null,
      header.template ? [Number(header.template.id), header.template.category] : null,
    ],
    rfc8949EncodeOptions,
  );
}

/** The bytes a relay tag covers, in the same encoding. */
export function encodeTagged(tagged: {
  commitment: string;
  sender: DeviceAddress;
  conversationId: ConversationId;
  clientId: ClientId;
  acceptedAt: number;
}): Uint8Array {
  return encode(
    [
      headerVersion,
      tagged.commitment,
      uuidBytes(tagged.sender.accountId),
      tagged.sender.deviceId,
      uuidBytes(tagged.conversationId),
      uuidBytes(tagged.clientId),
      tagged.acceptedAt,
    ],
    rfc8949EncodeOptions,
  );
}
