// The identifiers everybody shares, and the bucket that is read off an id.
// An account id and a conversation id are random UUIDs (RFC 9562); the first ten bits are the bucket.

import * as z from 'zod/mini';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const uuid = (what: string) => z.string().check(z.regex(UUID, `${what} must be a lower-case UUID`));

/** A person's or a business's account, the same for all its devices. */
export const AccountId = uuid('accountId').brand<'AccountId'>();
export type AccountId = z.infer<typeof AccountId>;

/** A conversation, whatever MLS group it is in at the moment. */
export const ConversationId = uuid('conversationId').brand<'ConversationId'>();
export type ConversationId = z.infer<typeof ConversationId>;

/** Chosen by the sender before anything leaves; the same through every retry. */
export const ClientId = uuid('clientId').brand<'ClientId'>();
export type ClientId = z.infer<typeof ClientId>;

/** A device of an account. Counted by the account's signed list from 1, never used twice. */
export const DeviceId = z.int().check(z.minimum(1), z.maximum(32_767)).brand<'DeviceId'>();
export type DeviceId = z.infer<typeof DeviceId>;

/** E.164 with its plus sign: `+4930123456`. */
export const PhoneNumber = z
  .string()
  .check(z.regex(/^\+[1-9][0-9]{6,14}$/, 'a number must be E.164, for example +4930123456'))
  .brand<'PhoneNumber'>();
export type PhoneNumber = z.infer<typeof PhoneNumber>;

/** Graph-style ids (WABA, phone-number id, template): decimal, at most 2^53, as Cloud API clients expect. */
export const NumericId = z
  .string()
  .check(z.regex(/^[1-9][0-9]{0,15}$/, 'an id must be decimal digits'))
  .brand<'NumericId'>();
export type NumericId = z.infer<typeof NumericId>;

/** 32 octets by draft-ietf-mimi-content-08 §3.2, written in base64url. Names one content for ever. */
export const MessageId = z
  .string()
  .check(z.regex(/^[A-Za-z0-9_-]{43}$/, 'a message id is 32 octets in base64url'))
  .brand<'MessageId'>();
export type MessageId = z.infer<typeof MessageId>;

/** Bytes in JSON: base64url without padding, at most `bytesMax` octets when decoded. */
export const base64Url = (bytesMax: number, bytesMin = 0) =>
  z
    .string()
    .check(
      z.regex(/^[A-Za-z0-9_-]*$/, 'bytes are written in base64url without padding'),
      z.minLength(Math.ceil((bytesMin * 4) / 3)),
      z.maxLength(Math.ceil((bytesMax * 4) / 3)),
    );

/** How many buckets there are; fixed for ever (design §7). */
export const bucketCount = 1024;

/** The first ten bits of a UUID: 0 … 1023. Ids are random, so this spreads as a hash would. */
export const bucketOf = (id: AccountId | ConversationId): number =>
  Number.parseInt(id.slice(0, 3), 16) >> 2;

/** A random UUID (version 4) whose first ten bits are `bucket`; `random` gives 16 fresh octets. */
export function uuidInBucket(bucket: number, random: Uint8Array): string {
  const bytes = Uint8Array.from(random);
  bytes[0] = bucket >> 2;
  bytes[1] = ((bucket & 3) << 6) | ((bytes[1] ?? 0) & 0x3f);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [8, 4, 4, 4, 12]
    .reduce<[string[], number]>(
      ([parts, at], size) => [[...parts, hex.slice(at, at + size)], at + size],
      [[], 0],
    )[0]
    .join('-');
}

/** The 16 octets of a UUID. */
export function uuidBytes(id: string): Uint8Array {
  const hex = id.replaceAll('-', '');
  return Uint8Array.from({ length: 16 }, (_, index) =>
    Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16),
  );
}
