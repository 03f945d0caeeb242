// The certificate a leaf shows inside MLS: the account key's word that this leaf key is device
// `dev` of account `sub`. Every joiner and every reader of a commit checks it; the operator has no
// part in it (design §3).

import { LeafCertificate, statementTypes } from '@siegel/protocol/relay';
import { createBoundedCache } from './bounded-cache.ts';
import type { AccountKey } from './signing-key.ts';
import {
  type StatementKind,
  signStatement,
  unsafeReadStatement,
  type Verified,
  verifySelfSigned,
} from './statement.ts';

const leafCertificate: StatementKind<LeafCertificate> = {
  type: statementTypes.leafCertificate,
  schema: LeafCertificate,
};

export const signLeafCertificate = (
  certificate: LeafCertificate,
  accountKey: AccountKey,
): Promise<string> => signStatement(leafCertificate, certificate, accountKey);

const certificatesMax = 8192;
/**
 * Only good signatures are kept; they never turn bad. Expiry and expected key are asked anew each
 * time.
 */
const believed = createBoundedCache<LeafCertificate>(certificatesMax);

/**
 * `now` in seconds; without it a certificate that has expired is still valid (expiry never stops
 * joining).
 */
export async function verifyLeafCertificate(
  jws: string,
  options: { readonly expectedKey?: string; readonly now?: number } = {},
): Promise<Verified<LeafCertificate>> {
  let statement = believed.get(jws);
  if (statement === undefined) {
    const verified = await verifySelfSigned(leafCertificate, jws);
    if (verified.outcome !== 'valid') return verified;
    statement = verified.statement;
    believed.set(jws, statement);
  }
  if (options.expectedKey !== undefined && statement.key !== options.expectedKey) {
    return { outcome: 'wrong-key' };
  }
  if (options.now !== undefined && statement.exp <= options.now) return { outcome: 'expired' };
  return { outcome: 'valid', statement };
}

/**
 * What was read without being verified: a session from the store names the same few certificates
 * again and again.
 */
const read = createBoundedCache<LeafCertificate>(certificatesMax);

/**
 * What a certificate says, its signature NOT checked: only for one that was verified when it came
 * in.
 */
export function unsafeReadLeafCertificate(jws: string): LeafCertificate | undefined {
  const known = believed.get(jws) ?? read.get(jws);
  if (known !== undefined) return known;
  const statement = unsafeReadStatement(leafCertificate, jws);
  if (statement !== undefined) read.set(jws, statement);
  return statement;
}
