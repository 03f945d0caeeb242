// A version of a template as the contract shows it.

import { NumericId } from '@siegel/protocol/ids';
import type { TemplateRecord } from '@siegel/protocol/relay';
import { toText } from '../octets.ts';
import type { VersionRow } from './template-store.ts';

export const recordOf = (row: VersionRow): TemplateRecord => ({
  templateId: NumericId.parse(String(row.template_id)),
  version: row.version,
  hash: toText(row.hash),
  status: row.status,
  ...(row.reason === null ? {} : { reason: row.reason }),
  signed: row.signed,
  ...(row.approval === null ? {} : { approval: row.approval }),
});
