// Templates and all their versions. A version's row is never changed but for its status, reason and approval.

import type { Queryable } from '@siegel/database';
import type { AccountId, NumericId } from '@siegel/protocol/ids';
import type { TemplateCategory, TemplateStatus } from '@siegel/protocol/relay';

export type TemplateRow = {
  template_id: number;
  business_id: AccountId;
  waba_id: number;
  name: string;
  language: string;
  category: TemplateCategory;
  status: TemplateStatus;
};

export type VersionRow = {
  template_id: number;
  version: number;
  hash: Buffer;
  category: TemplateCategory;
  status: TemplateStatus;
  reason: string | null;
  signed: string;
  approval: string | null;
};

const versionColumns = 'template_id, version, hash, category, status, reason, signed, approval';

/** Finds the template by its name or makes it, and locks it: versions of one template are numbered one after another. */
export async function lockTemplate(
  transaction: Queryable,
  wanted: TemplateRow & { readonly created_at: number },
): Promise<TemplateRow | undefined> {
  await transaction.query(
    `INSERT INTO templates
       (template_id, business_id, waba_id, name, language, category, status, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
    [
      wanted.template_id,
      wanted.business_id,
      wanted.waba_id,
      wanted.name,
      wanted.language,
      wanted.category,
      wanted.status,
      wanted.created_at,
    ],
  );
  const { rows } = await transaction.query<TemplateRow>(
    `SELECT template_id, business_id, waba_id, name, language, category, status FROM templates
     WHERE waba_id = $1 AND name = $2 AND language = $3 FOR UPDATE`,
    [wanted.waba_id, wanted.name, wanted.language],
  );
  return rows[0];
}

export async function readTemplate(
  queries: Queryable,
  templateId: NumericId,
  lock: '' | 'FOR UPDATE' = '',
): Promise<TemplateRow | undefined> {
  const { rows } = await queries.query<TemplateRow>(
    `SELECT template_id, business_id, waba_id, name, language, category, status FROM templates
     WHERE template_id = $1 ${lock}`,
    [templateId],
  );
  return rows[0];
}

/** Newest first. */
export async function readVersions(
  queries: Queryable,
  templateId: NumericId | number,
): Promise<readonly VersionRow[]> {
  const { rows } = await queries.query<VersionRow>(
    `SELECT ${versionColumns} FROM template_versions WHERE template_id = $1
     ORDER BY version DESC`,
    [templateId],
  );
  return rows;
}

export async function insertVersion(
  transaction: Queryable,
  version: VersionRow & { readonly submitted_at: number },
): Promise<void> {
  await transaction.query(
    `INSERT INTO template_versions
       (template_id, version, hash, category, status, signed, submitted_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [
      version.template_id,
      version.version,
      version.hash,
      version.category,
      version.status,
      version.signed,
      version.submitted_at,
    ],
  );
}

export type VersionDecision = {
  readonly status: TemplateStatus;
  readonly reason: string | null;
  readonly approval: string | null;
  readonly decidedAt: number;
};

export async function decideVersion(
  transaction: Queryable,
  { template_id: id, version }: Pick<VersionRow, 'template_id' | 'version'>,
  decision: VersionDecision,
): Promise<void> {
  await transaction.query(
    `UPDATE template_versions SET status = $3, reason = $4,
       approval = coalesce($5, approval), decided_at = $6
     WHERE template_id = $1 AND version = $2`,
    [id, version, decision.status, decision.reason, decision.approval, decision.decidedAt],
  );
}

export async function writeState(
  transaction: Queryable,
  templateId: number,
  state: { status: TemplateStatus; category: TemplateCategory },
): Promise<void> {
  await transaction.query(
    'UPDATE templates SET status = $2, category = $3 WHERE template_id = $1',
    [templateId, state.status, state.category],
  );
}

/** The newest version of each template of a business. */
export async function readNewest(
  queries: Queryable,
  wanted: { businessId: AccountId; wabaId: string | null; after: string; limit: number },
): Promise<readonly VersionRow[]> {
  const columns = versionColumns.replaceAll(/(\w+)/g, 'version.$1');
  const { rows } = await queries.query<VersionRow>(
    `SELECT ${columns} FROM templates template
     JOIN LATERAL (SELECT * FROM template_versions one
       WHERE one.template_id = template.template_id ORDER BY one.version DESC LIMIT 1) version ON true
     WHERE template.business_id = $1 AND template.template_id > $2
       AND ($3::bigint IS NULL OR template.waba_id = $3)
     ORDER BY template.template_id LIMIT $4`,
    [wanted.businessId, wanted.after, wanted.wabaId, wanted.limit],
  );
  return rows;
}

export type PendingRow = VersionRow & { name: string; language: string; legal_name: string };

const pendingMax = 1000;

export async function readPending(queries: Queryable): Promise<readonly PendingRow[]> {
  const columns = versionColumns.replaceAll(/(\w+)/g, 'version.$1');
  const { rows } = await queries.query<PendingRow>(
    `SELECT ${columns}, template.name, template.language, business.legal_name
     FROM template_versions version
     JOIN templates template USING (template_id)
     JOIN businesses business ON business.account_id = template.business_id
     WHERE version.status = 'pending' ORDER BY version.submitted_at LIMIT ${pendingMax}`,
  );
  return rows;
}

export async function ownsWaba(
  queries: Queryable,
  businessId: AccountId,
  wabaId: string,
): Promise<boolean> {
  const { rows } = await queries.query(
    'SELECT 1 FROM businesses WHERE account_id = $1 AND waba_id = $2',
    [businessId, wabaId],
  );
  return rows.length > 0;
}
