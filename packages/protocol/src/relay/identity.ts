// The signed statements that say who a leaf is: compact JWS (RFC 7515), EdDSA (RFC 8037), one `typ` each.
// An account key signs device lists and leaf certificates; the operator signs only number ↔ account key and certificates of businesses.

import * as z from 'zod/mini';
import { AccountId, base64Url, DeviceId, NumericId, PhoneNumber } from '../ids.ts';
import { limits } from '../limits.ts';

/** `typ` header of every statement; a statement of one type is never taken for another (RFC 8725 §3.11). */
export const statementTypes = {
  leafCertificate: 'siegel-leaf+jwt',
  deviceList: 'siegel-devices+jwt',
  numberStatement: 'siegel-number+jwt',
  businessCertificate: 'siegel-business+jwt',
  template: 'siegel-template+jws',
  templateApproval: 'siegel-template-approval+jwt',
} as const;
export type StatementType = (typeof statementTypes)[keyof typeof statementTypes];

/** A compact JWS as text. */
export const Statement = z
  .string()
  .check(z.maxLength(limits.jwsBytesMax), z.regex(/^[\w-]+\.[\w-]+\.[\w-]+$/, 'a compact JWS'));

/** An Ed25519 public key, 32 octets. */
export const PublicKey = base64Url(32, 32);
/** Seconds since 1970 (RFC 7519 NumericDate). */
export const NumericDate = z.int().check(z.minimum(0), z.maximum(4_294_967_295));
/** A count that only grows. */
export const Version = z.int().check(z.minimum(1), z.maximum(2 ** 31));

/** The MLS credential of a leaf: signed by the account key. It never holds a number (design §3). */
export const LeafCertificate = z.object({
  v: z.literal(1),
  /** account */
  sub: AccountId,
  /** public account key that signed this */
  key: PublicKey,
  dev: DeviceId,
  /** the leaf's own signature key */
  leaf: PublicKey,
  iat: NumericDate,
  exp: NumericDate,
});
export type LeafCertificate = z.infer<typeof LeafCertificate>;

/** The account's devices, all of them, in one versioned list signed by the account key. */
export const DeviceList = z.object({
  v: z.literal(1),
  sub: AccountId,
  key: PublicKey,
  /** grows by one with every change; a lower one is refused */
  version: Version,
  /** the id the next new device gets; ids are never used twice */
  next: DeviceId,
  devices: z
    .array(
      z.object({
        id: DeviceId,
        leaf: PublicKey,
        /** `main` holds the account key; a `gateway` or `app` is a firm's */
        role: z.enum(['main', 'linked', 'gateway', 'app']),
        added: NumericDate,
      }),
    )
    .check(z.maxLength(limits.devicesPerAccount)),
  iat: NumericDate,
});
export type DeviceList = z.infer<typeof DeviceList>;

/** The operator's word that whoever holds `key` answered a code sent to `number`. */
export const NumberStatement = z.object({
  v: z.literal(1),
  iss: z.string(),
  sub: AccountId,
  key: PublicKey,
  number: PhoneNumber,
  iat: NumericDate,
  exp: NumericDate,
});
export type NumberStatement = z.infer<typeof NumberStatement>;

/** Seal levels of design §5. Only level 3 is drawn as a badge. */
export const SealLevel = z.enum(['number-proven', 'entity-proven', 'badge']);
export type SealLevel = z.infer<typeof SealLevel>;

/** The operator's certificate for one number of a business (design §5). */
export const BusinessCertificate = z.object({
  v: z.literal(1),
  iss: z.string(),
  sub: AccountId,
  /** RFC 7800 confirmation: the business (account) key */
  cnf: z.object({
    jwk: z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: PublicKey }),
  }),
  legalName: z.string().check(z.minLength(1), z.maxLength(200)),
  displayName: z.string().check(z.minLength(1), z.maxLength(75)),
  number: PhoneNumber,
  phoneNumberId: NumericId,
  country: z.string().check(z.regex(/^[A-Z]{2}$/)),
  registerEntry: z.optional(z.string().check(z.maxLength(200))),
  domain: z.optional(z.string().check(z.maxLength(253))),
  /** what was looked at: `none`, `register-extract`, `domain`, … */
  evidence: z.string().check(z.maxLength(64)),
  level: SealLevel,
  /** who runs the machine that holds the business key */
  keysHostedBy: z.string().check(z.maxLength(200)),
  iat: NumericDate,
  exp: NumericDate,
});
export type BusinessCertificate = z.infer<typeof BusinessCertificate>;
