// Fetching templates (T4): any device gets an approved version by its hash, for ever; a business sees its own in any state.

import type { NumericId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { getTemplate, listTemplates } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import type { TemplateState } from '../hot-path.ts';
import type { Rule } from '../http/route.ts';
import { toText } from '../octets.ts';
import { recordOf } from './template-record.ts';
import { readNewest, readTemplate, readVersions } from './template-store.ts';

export const readOne =
  ({ database }: BasePorts): Rule<typeof getTemplate> =>
  async (caller, { templateId, hash }) => {
    const template = await readTemplate(database, templateId);
    if (template === undefined) return { outcome: 'not-found' };
    const isOwn = template.business_id === caller.accountId;
    const version = (await readVersions(database, templateId))
      .filter((row) => isOwn || row.approval !== null)
      .find((row) => hash === undefined || toText(row.hash) === hash);
    if (version === undefined) return { outcome: 'not-found' };
    return { outcome: 'template', template: recordOf(version) };
  };

export const readPage =
  ({ database }: BasePorts): Rule<typeof listTemplates> =>
  async ({ account, accountId }, { wabaId, after, limit }) => {
    if (account !== 'business') return { outcome: 'forbidden' };
    const size = limit ?? limits.pageSizeMax;
    const rows = await readNewest(database, {
      businessId: accountId,
      wabaId: wabaId ?? null,
      after: after ?? '0',
      limit: size + 1,
    });
    const templates = rows.slice(0, size).map(recordOf);
    return { outcome: 'page', templates, more: rows.length > size };
  };

/** What a submit is decided by (S7). */
export const readTemplateState =
  ({ database }: BasePorts) =>
  async (templateId: NumericId): Promise<TemplateState | undefined> => {
    const template = await readTemplate(database, templateId);
    return (
      template && {
        business: template.business_id,
        status: template.status,
        category: template.category,
      }
    );
  };
