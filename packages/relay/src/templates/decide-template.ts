// The operator's side (T3): what waits, and the decision about it. An approval is signed over id, version, hash and
// category, so that a device can check it without asking the relay.

import { type SigningKey, signTemplateApproval } from '@siegel/crypto/verify';
import type { Queryable } from '@siegel/database';
import { NumericId } from '@siegel/protocol/ids';
import {
  type decideTemplate,
  type listPendingTemplates,
  type RequestOf,
  TemplateObject,
  type TemplateStatus,
} from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import type { Events } from '../events.ts';
import type { Answer, Rule } from '../http/route.ts';
import { toBytes, toText } from '../octets.ts';
import {
  decideVersion,
  readPending,
  readTemplate,
  readVersions,
  type VersionRow,
  writeState,
} from './template-store.ts';

export type DecidePorts = BasePorts & {
  readonly issuer: string;
  readonly signingKey: SigningKey;
  readonly events: Events;
};

type Decision = RequestOf<typeof decideTemplate>['decision'];

/** From which state a decision leads to which. */
const steps: Readonly<Record<Decision, { from: readonly TemplateStatus[]; to: TemplateStatus }>> = {
  approve: { from: ['pending'], to: 'approved' },
  reject: { from: ['pending'], to: 'rejected' },
  pause: { from: ['approved'], to: 'paused' },
  resume: { from: ['paused'], to: 'approved' },
  disable: { from: ['approved', 'paused'], to: 'disabled' },
};

export const showPending =
  ({ database }: DecidePorts): Rule<typeof listPendingTemplates> =>
  async () => {
    const rows = await readPending(database);
    const templates = rows.map((row) => ({
      templateId: NumericId.parse(String(row.template_id)),
      version: row.version,
      name: row.name,
      language: row.language,
      category: row.category,
      body: bodyOf(row.signed),
      business: row.legal_name,
    }));
    return { outcome: 'templates', templates };
  };

/** It was verified when it came in. */
function bodyOf(signed: string): string {
  const payload = toBytes(signed.split('.')[1] ?? '').toString('utf8');
  return TemplateObject.parse(JSON.parse(payload)).components.body.text;
}

export const decide =
  (ports: DecidePorts): Rule<typeof decideTemplate> =>
  async (_caller, { templateId, decision, reason }) => {
    const decided = await ports.database.transaction((transaction) =>
      store(ports, transaction, { templateId, decision, reason }),
    );
    if (decided.outcome === 'decided') ports.events.templateDecided(decision);
    return decided;
  };

type Deciding = {
  readonly templateId: NumericId;
  readonly decision: Decision;
  readonly reason: string | undefined;
};

async function store(
  ports: DecidePorts,
  transaction: Queryable,
  { templateId, decision, reason }: Deciding,
): Promise<Answer<typeof decideTemplate>> {
  const template = await readTemplate(transaction, templateId, 'FOR UPDATE');
  if (template === undefined) return { outcome: 'not-found' };
  const versions = await readVersions(transaction, templateId);
  const { from, to } = steps[decision];
  const isReview = decision === 'approve' || decision === 'reject';
  // A review is about what waits; everything else about what is in use, which is the newest approved version.
  const version = isReview
    ? versions.find(({ status }) => status === 'pending')
    : versions.find(({ approval }) => approval !== null && from.includes(template.status));
  if (version === undefined) {
    const status = isReview ? (versions[0]?.status ?? template.status) : template.status;
    return { outcome: 'not-possible', status };
  }
  const approval = decision === 'approve' ? await approve(ports, templateId, version) : null;
  const decidedAt = ports.now();
  await decideVersion(transaction, version, {
    ...{ status: to, approval, decidedAt },
    reason: reason ?? null,
  });
  const inUse = versions.some((one) => one !== version && one.approval !== null);
  // A rejected newer version leaves the older one as it is.
  if (decision !== 'reject' || !inUse) {
    const category = decision === 'approve' ? version.category : template.category;
    await writeState(transaction, template.template_id, { status: to, category });
  }
  return { outcome: 'decided', status: to };
}

function approve(
  { issuer, signingKey, now }: DecidePorts,
  templateId: NumericId,
  { version, hash, category }: VersionRow,
): Promise<string> {
  return signTemplateApproval(
    {
      ...{ v: 1, iss: issuer, template: templateId, version, category },
      hash: toText(hash),
      iat: Math.floor(now() / 1000),
    },
    signingKey,
  );
}
