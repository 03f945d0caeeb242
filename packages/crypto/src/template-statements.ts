// A template is signed by the business over its canonical octets (RFC 8785) and approved by the
// operator by their hash. The person's device checks both before it renders (design §4).

import { sha256 } from '@noble/hashes/sha2.js';
import {
  canonicalTemplate,
  statementTypes,
  TemplateApproval,
  TemplateObject,
} from '@siegel/protocol/relay';
import { equalBytes, toBase64Url, utf8 } from './bytes.ts';
import type { AccountKey, SigningKey } from './signing-key.ts';
import {
  readBody,
  type StatementKind,
  type StatementRefusal,
  signBytes,
  signStatement,
  type Verified,
  verifyBytes,
  verifyIssued,
} from './statement.ts';

/** SHA-256 over the canonical octets, in base64url: the name of one version for ever. */
export const templateHash = (canonicalBytes: Uint8Array): string =>
  toBase64Url(sha256(canonicalBytes));

/** `canonicalBytes` are the UTF-8 octets of `canonicalTemplate(template)`. */
export const signTemplate = (canonicalBytes: Uint8Array, accountKey: AccountKey): Promise<string> =>
  signBytes(statementTypes.template, canonicalBytes, accountKey);

export type VerifiedTemplate =
  | {
      readonly outcome: 'valid';
      readonly template: TemplateObject;
      readonly hash: string;
      /** the business key that signed, base64url */
      readonly key: string;
    }
  | { readonly outcome: StatementRefusal };

/**
 * Refuses a payload that is not its own canonical form: two spellings would be two hashes for one
 * template.
 */
export async function verifyTemplate(
  jws: string,
  trust: { readonly expectedKey: string },
): Promise<VerifiedTemplate> {
  const verified = await verifyBytes(statementTypes.template, jws, [trust.expectedKey]);
  if (verified.outcome !== 'valid') return verified;
  const { payload, key } = verified;
  const template = readBody(TemplateObject, payload);
  if (template === undefined || !equalBytes(utf8(canonicalTemplate(template)), payload)) {
    return { outcome: 'malformed' };
  }
  return { outcome: 'valid', template, hash: templateHash(payload), key };
}

const templateApproval: StatementKind<TemplateApproval> = {
  type: statementTypes.templateApproval,
  schema: TemplateApproval,
};

export const signTemplateApproval = (
  approval: TemplateApproval,
  operatorKey: SigningKey,
): Promise<string> => signStatement(templateApproval, approval, operatorKey);

/** An approval has no expiry: it ends when the operator pauses or disables the template. */
export const verifyTemplateApproval = (
  jws: string,
  issuerKeys: readonly string[],
): Promise<Verified<TemplateApproval>> =>
  verifyIssued<TemplateApproval & { exp?: number }>(templateApproval, jws, { issuerKeys, now: 0 });
