// Access tokens of the Cloud API: kept as hashes, bound to permissions and, if wanted, to single numbers.

import { createHash } from 'node:crypto';
import type { Queryable } from '@siegel/database';
import { SiegelError } from '@siegel/protocol/errors';
import * as z from 'zod/mini';

export const permissions = ['whatsapp_business_messaging', 'whatsapp_business_management'] as const;
export type Permission = (typeof permissions)[number];

/** What a token allows. `phoneNumberIds` undefined: every number of the firm. */
export type Access = {
  readonly permissions: readonly Permission[];
  readonly phoneNumberIds?: readonly string[];
};

export type CheckedToken =
  | { readonly outcome: 'valid'; readonly access: Access }
  | { readonly outcome: 'unknown' | 'expired' };

/** 20 characters at least: shorter ones could be guessed, and the hash has no salt. */
export const TokenFile = z
  .array(
    z.strictObject({
      token: z.string().check(z.minLength(20), z.maxLength(512), z.regex(/^[\x21-\x7e]+$/)),
      label: z.optional(z.string().check(z.maxLength(100))),
      permissions: z.optional(z.array(z.enum(permissions)).check(z.minLength(1))),
      phoneNumberIds: z.optional(z.array(z.string().check(z.maxLength(16)))),
    }),
  )
  .check(z.maxLength(1000));
export type TokenFile = z.infer<typeof TokenFile>;

const hashOf = (token: string): Buffer => createHash('sha256').update(token, 'utf8').digest();

/** Enters tokens that are not there yet; those already there take the file's scope. */
export async function enterTokens(
  database: Queryable,
  tokens: unknown,
  now: number,
): Promise<void> {
  const parsed = TokenFile.safeParse(tokens);
  // The parser's own words could quote a token.
  if (!parsed.success) throw new SiegelError('configuration-invalid', 'the token file');
  for (const { token, label, permissions: allowed, phoneNumberIds } of parsed.data) {
    await database.query(
      `INSERT INTO access_tokens (token_hash, label, permissions, phone_number_ids, created_at)
       VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (token_hash) DO UPDATE SET permissions = $3, phone_number_ids = $4`,
      [hashOf(token), label ?? 'token', allowed ?? [...permissions], phoneNumberIds ?? null, now],
    );
  }
}

type Row = {
  permissions: Permission[];
  phone_number_ids: string[] | null;
  expires_at: number | null;
  revoked_at: number | null;
};

export async function checkToken(
  database: Queryable,
  token: string,
  now: number,
): Promise<CheckedToken> {
  const { rows } = await database.queryNamed<Row>(
    'check-access-token',
    `SELECT permissions, phone_number_ids, expires_at, revoked_at
     FROM access_tokens WHERE token_hash = $1`,
    [hashOf(token)],
  );
  const row = rows[0];
  if (row === undefined || row.revoked_at !== null) return { outcome: 'unknown' };
  if (row.expires_at !== null && row.expires_at <= now) return { outcome: 'expired' };
  return {
    outcome: 'valid',
    access: {
      permissions: row.permissions,
      ...(row.phone_number_ids === null ? {} : { phoneNumberIds: row.phone_number_ids }),
    },
  };
}
