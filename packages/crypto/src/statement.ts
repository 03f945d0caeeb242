// Signed statements: compact JWS (RFC 7515) with EdDSA (RFC 8037), one `typ` per kind, a size limit
// and a schema. Account keys sign device lists and leaf certificates; the operator signs numbers,
// businesses and template approvals.

import { limits } from '@siegel/protocol/limits';
import { type StatementType, statementTypes } from '@siegel/protocol/relay';
import { CompactSign, compactVerify } from 'jose';
import { fromBase64Url, fromUtf8, toBase64Url, utf8 } from './bytes.ts';
import { privateCryptoKey, publicCryptoKey, type SigningKey } from './signing-key.ts';

/** Why a statement is not believed. */
export type StatementRefusal =
  | 'malformed'
  | 'wrong-type'
  | 'wrong-key'
  | 'signature-invalid'
  | 'expired'
  | 'version-too-old';

export type Verified<Body> =
  | { readonly outcome: 'valid'; readonly statement: Body }
  | { readonly outcome: StatementRefusal };

const algorithm = 'EdDSA';

/** A template is as large as its canonical form; every other statement is small. */
const bytesMax = (type: StatementType): number =>
  type === statementTypes.template ? limits.templateBytesMax * 2 : limits.jwsBytesMax;

/**
 * Signs octets as they are. `kid` is the public key itself, so that a reader knows which of several
 * to try.
 */
export async function signBytes(
  type: StatementType,
  payload: Uint8Array,
  key: SigningKey,
): Promise<string> {
  return new CompactSign(payload)
    .setProtectedHeader({ alg: algorithm, typ: type, kid: toBase64Url(key.publicKey) })
    .sign(await privateCryptoKey(key));
}

/** The part of a zod schema used here. */
type Schema<Body> = {
  parse(value: unknown): Body;
  safeParse(value: unknown): { success: true; data: Body } | { success: false };
};

/** A kind of statement: its `typ` and its schema. */
export type StatementKind<Body> = { readonly type: StatementType; readonly schema: Schema<Body> };

/**
 * Signs a statement after checking it against its own schema: a wrong one is the caller's bug, and
 * throws.
 */
export const signStatement = async <Body>(
  kind: StatementKind<Body>,
  body: Body,
  key: SigningKey,
): Promise<string> => signBytes(kind.type, utf8(JSON.stringify(kind.schema.parse(body))), key);

export type VerifiedBytes =
  | { readonly outcome: 'valid'; readonly payload: Uint8Array; readonly key: string }
  | { readonly outcome: Exclude<StatementRefusal, 'expired' | 'version-too-old'> };

/**
 * Checks size, type, algorithm, key and signature, in this order. `keys` are the base64url public
 * keys one may believe.
 */
export async function verifyBytes(
  type: StatementType,
  jws: string,
  keys: readonly string[],
): Promise<VerifiedBytes> {
  const parts = readParts(type, jws);
  if (parts === undefined) return { outcome: 'malformed' };
  const { alg, kid, typ } = parts.header;
  if (typ !== type) return { outcome: 'wrong-type' };
  if (alg !== algorithm || typeof kid !== 'string') return { outcome: 'malformed' };
  if (!keys.includes(kid)) return { outcome: 'wrong-key' };
  try {
    const key = await publicCryptoKey(fromBase64Url(kid));
    await compactVerify(jws, key, { algorithms: [algorithm] });
  } catch {
    // A key that is no point on the curve and a signature that does not match are the same to us.
    return { outcome: 'signature-invalid' };
  }
  return { outcome: 'valid', payload: parts.payload, key: kid };
}

type ProtectedHeader = { readonly alg?: unknown; readonly typ?: unknown; readonly kid?: unknown };

function readParts(type: StatementType, jws: string) {
  if (jws.length > bytesMax(type)) return undefined;
  const [header, payload, signature, ...more] = jws.split('.');
  if (!header || payload === undefined || !signature || more.length > 0) return undefined;
  try {
    const parsed: unknown = JSON.parse(fromUtf8(fromBase64Url(header)));
    if (typeof parsed !== 'object' || parsed === null) return undefined;
    return { header: parsed as ProtectedHeader, payload: fromBase64Url(payload) };
  } catch {
    return undefined;
  }
}

/** The body of a statement by its schema, its signature NOT looked at. */
export function readBody<Body>(schema: Schema<Body>, payload: Uint8Array): Body | undefined {
  try {
    const parsed = schema.safeParse(JSON.parse(fromUtf8(payload)));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** What a statement says, its signature NOT looked at. */
export function unsafeReadStatement<Body>(
  kind: StatementKind<Body>,
  jws: string,
): Body | undefined {
  const parts = readParts(kind.type, jws);
  return parts?.header.typ === kind.type ? readBody(kind.schema, parts.payload) : undefined;
}

/**
 * A statement that carries the account key which signed it: that key, or nobody, may have done so.
 */
export async function verifySelfSigned<Body extends { key: string }>(
  kind: StatementKind<Body>,
  jws: string,
  expectedKey?: string,
): Promise<Verified<Body>> {
  const statement = unsafeReadStatement(kind, jws);
  const verified = await verifyBytes(
    kind.type,
    jws,
    statement === undefined ? [] : [statement.key],
  );
  if (statement === undefined) {
    return { outcome: verified.outcome === 'wrong-type' ? 'wrong-type' : 'malformed' };
  }
  if (verified.outcome !== 'valid') return verified;
  if (expectedKey !== undefined && statement.key !== expectedKey) return { outcome: 'wrong-key' };
  return { outcome: 'valid', statement };
}

/**
 * The keys of an issuer that the reader has pinned, and the time in seconds, which ends statements
 * with an `exp`.
 */
export type IssuerTrust = { readonly issuerKeys: readonly string[]; readonly now: number };

export async function verifyIssued<Body extends { exp?: number }>(
  kind: StatementKind<Body>,
  jws: string,
  trust: IssuerTrust,
): Promise<Verified<Body>> {
  const verified = await verifyBytes(kind.type, jws, trust.issuerKeys);
  if (verified.outcome !== 'valid') return verified;
  const statement = readBody(kind.schema, verified.payload);
  if (statement === undefined) return { outcome: 'malformed' };
  if (statement.exp !== undefined && statement.exp <= trust.now) return { outcome: 'expired' };
  return { outcome: 'valid', statement };
}
