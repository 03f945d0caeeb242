// A business submits a template (T1, T2): its own signature over the canonical form, the automatic rules, and then it waits
// for a person. Name and language keep one numeric id for ever.

import { verifyTemplate } from '@siegel/crypto/verify';
import type { Queryable } from '@siegel/database';
import { type AccountId, bucketOf } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { submitTemplate, TemplateObject } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import type { Rule } from '../http/route.ts';
import { randomNumericId, toBytes, toText } from '../octets.ts';
import { spendQuota } from '../quotas.ts';
import { recordOf } from './template-record.ts';
import { findFault } from './template-rules.ts';
import {
  decideVersion,
  insertVersion,
  lockTemplate,
  ownsWaba,
  readVersions,
  type VersionRow,
  writeState,
} from './template-store.ts';

const hourSeconds = 3600;

const invalid = (reason: string, detail: string) =>
  ({ outcome: 'template-invalid', reason, detail }) as const;

export const takeTemplate =
  (ports: BasePorts): Rule<typeof submitTemplate> =>
  async ({ account, accountId }, { signed }) => {
    if (account !== 'business') return { outcome: 'forbidden' };
    const { database, now } = ports;
    const quota = await spendQuota(database, {
      ...{ owner: accountId, quota: 'templates', amount: 1, max: limits.templatesPerHour },
      windowSeconds: hourSeconds,
      now: now(),
    });
    if (!quota.spent) {
      return { outcome: 'quota-reached', retryAfterSeconds: quota.retryAfterSeconds };
    }
    const expectedKey = await accountKeyOf(database, accountId);
    const verified = await verifyTemplate(signed, { expectedKey });
    if (verified.outcome !== 'valid') {
      return invalid(verified.outcome, 'The signature or the canonical form is not right.');
    }
    const { template, hash } = verified;
    if (template.business !== accountId) return invalid('wrong-business', 'It names another firm.');
    if (!(await ownsWaba(database, accountId, template.wabaId))) {
      return invalid('wrong-waba', 'The firm has no such WABA.');
    }
    const found = findFault(template);
    if (found !== undefined) return invalid(found.reason, found.detail);
    const stored = await database.transaction((transaction) =>
      store(ports, transaction, { template, hash: toBytes(hash), signed }),
    );
    return { outcome: 'submitted', template: recordOf(stored) };
  };

async function accountKeyOf(queries: Queryable, accountId: AccountId): Promise<string> {
  const { rows } = await queries.query<{ account_key: Buffer | null }>(
    'SELECT account_key FROM accounts WHERE bucket = $1 AND account_id = $2',
    [bucketOf(accountId), accountId],
  );
  return toText(rows[0]?.account_key ?? Buffer.alloc(0));
}

type Submitted = {
  readonly template: TemplateObject;
  readonly hash: Buffer;
  readonly signed: string;
};

/** The same version submitted again is the same version; a newer one ends an older one that still waits. */
async function store(
  { now, random }: BasePorts,
  transaction: Queryable,
  { template, hash, signed }: Submitted,
): Promise<VersionRow> {
  const { business, wabaId, name, language, category } = template;
  const at = now();
  const row = await lockTemplate(transaction, {
    ...{ template_id: randomNumericId(random), business_id: business, waba_id: Number(wabaId) },
    ...{ name, language, category, status: 'pending', created_at: at },
  });
  if (row === undefined) throw new Error('the template was not stored');
  const versions = await readVersions(transaction, row.template_id);
  const same = versions.find((one) => one.hash.equals(hash));
  if (same !== undefined) return same;
  for (const one of versions.filter(({ status }) => status === 'pending')) {
    const reason = 'SUPERSEDED';
    const decision = { status: 'deleted', reason, approval: null, decidedAt: at } as const;
    await decideVersion(transaction, one, decision);
  }
  const version: VersionRow = {
    ...{ template_id: row.template_id, hash, category, signed },
    version: (versions[0]?.version ?? 0) + 1,
    ...{ status: 'pending', reason: null, approval: null },
  };
  await insertVersion(transaction, { ...version, submitted_at: at });
  const isInUse = versions.some(({ approval }) => approval !== null);
  if (!isInUse) await writeState(transaction, row.template_id, { status: 'pending', category });
  return version;
}
