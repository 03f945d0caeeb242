// Template objects as a device gets them: fetched by id and hash, believed when hash, firm's signature and operator's
// approval agree, and kept, because a version never changes (design §4).

import {
  type StatementRefusal,
  signTemplate,
  verifyTemplate,
  verifyTemplateApproval,
} from '@siegel/crypto';
import { SiegelError } from '@siegel/protocol/errors';
import type { AccountId, NumericId } from '@siegel/protocol/ids';
import {
  type AnswerOf,
  canonicalTemplate,
  getTemplate,
  SignedTemplate,
  submitTemplate,
  type TemplateCategory,
  type TemplateObject,
  type TemplateRecord,
} from '@siegel/protocol/relay';
import * as z from 'zod/mini';
import type { DeviceContext } from './device-context.ts';
import type { Identity } from './identity.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import type { Store } from './store.ts';

/** What a message and the envelope it came in say about the template, and whom they are believed by. */
export type TemplateExpectation = {
  readonly templateId: NumericId;
  /** base64url */
  readonly hash: string;
  /** of the envelope: what the relay bills by */
  readonly category: TemplateCategory;
  readonly business: { readonly accountId: AccountId; readonly accountKey: string };
  /** the operator's pinned keys, base64url */
  readonly operatorKeys: readonly string[];
};

export type TemplateRefusal =
  | StatementRefusal
  | 'unknown'
  | 'not-approved'
  | 'approval-refused'
  | 'hash-mismatch'
  | 'approval-mismatch'
  | 'wrong-business'
  | 'wrong-category';

export type TemplateBelieved =
  | { readonly outcome: 'template'; readonly template: TemplateObject }
  | { readonly outcome: 'refused'; readonly reason: TemplateRefusal };

const refused = (reason: TemplateRefusal): TemplateBelieved => ({ outcome: 'refused', reason });

const CachedTemplate = z.object({
  v: z.literal(1),
  signed: SignedTemplate,
  approval: z.string(),
});
type CachedTemplate = z.infer<typeof CachedTemplate>;

const cachePrefix = 'template/';
const cachedMax = 500;

/** @throws SiegelError `relay-unreachable`, `too-many-requests`: nothing is known yet, ask again later */
export async function believeTemplate(
  context: Pick<DeviceContext, 'connection' | 'store'>,
  expected: TemplateExpectation,
): Promise<TemplateBelieved> {
  const key = `${cachePrefix}${expected.templateId}/${expected.hash}`;
  const cached = await context.store.get('meta', key);
  if (cached !== undefined) {
    return check(decodeRecord(CachedTemplate, cached, 'template'), expected);
  }
  const record = await fetchTemplate(context, expected);
  if (record === undefined) return refused('unknown');
  if (record.approval === undefined) return refused('not-approved');
  const fetched: CachedTemplate = { v: 1, signed: record.signed, approval: record.approval };
  const checked = await check(fetched, expected);
  if (checked.outcome === 'template') await keep(context.store, key, fetched);
  return checked;
}

async function check(
  cached: CachedTemplate,
  expected: TemplateExpectation,
): Promise<TemplateBelieved> {
  const { accountId, accountKey } = expected.business;
  const signed = await verifyTemplate(cached.signed, { expectedKey: accountKey });
  if (signed.outcome !== 'valid') return refused(signed.outcome);
  if (signed.hash !== expected.hash) return refused('hash-mismatch');
  const approved = await verifyTemplateApproval(cached.approval, expected.operatorKeys);
  if (approved.outcome !== 'valid') return refused('approval-refused');
  const { template } = signed;
  const approval = approved.statement;
  if (approval.hash !== expected.hash || approval.template !== expected.templateId) {
    return refused('approval-mismatch');
  }
  if (template.business !== accountId) return refused('wrong-business');
  if (approval.category !== expected.category || template.category !== expected.category) {
    return refused('wrong-category');
  }
  return { outcome: 'template', template };
}

async function fetchTemplate(
  context: Pick<DeviceContext, 'connection'>,
  { templateId, hash }: TemplateExpectation,
): Promise<TemplateRecord | undefined> {
  const answer = await context.connection.call(getTemplate, { templateId, hash });
  if (answer.outcome === 'rate-limited') throw new SiegelError('too-many-requests', 'getTemplate');
  return answer.outcome === 'template' ? answer.template : undefined;
}

/** Forgetting one is harmless: it is fetched again. */
async function keep(store: Store, key: string, cached: CachedTemplate): Promise<void> {
  const range = { prefix: cachePrefix, limit: cachedMax };
  const kept = await store.list('meta', range);
  const surplus = kept.length < cachedMax ? [] : kept.slice(0, 1);
  await store.commit([
    { collection: 'meta', key, value: encodeRecord(CachedTemplate, cached) },
    ...surplus.map((entry) => ({ collection: 'meta' as const, key: entry.key, value: undefined })),
  ]);
}

/** Signed where the business key is (rule T1). */
export async function submitOwnTemplate(
  context: Pick<DeviceContext, 'connection'>,
  identity: Identity,
  template: TemplateObject,
): Promise<AnswerOf<typeof submitTemplate> | { readonly outcome: 'not-main' }> {
  const accountKey = identity.accountSigningKey;
  if (accountKey === undefined) return { outcome: 'not-main' };
  const octets = new TextEncoder().encode(canonicalTemplate(template));
  const signed = await signTemplate(octets, accountKey);
  return context.connection.call(submitTemplate, { signed });
}
