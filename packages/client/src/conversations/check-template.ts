// A template message holds a hash and values. The public object behind it is fetched, and believed only if the hash, the
// firm's signature, the operator's approval, id and category all agree with what the relay charged for (design §4).

import { verifyTemplate, verifyTemplateApproval } from '@siegel/crypto';
import { type Template, toBase64Url } from '@siegel/protocol/content';
import { SiegelError } from '@siegel/protocol/errors';
import type { NumericId } from '@siegel/protocol/ids';
import {
  getTemplate,
  type TemplateCategory,
  type TemplateObject,
  type TemplateRecord,
} from '@siegel/protocol/relay';
import type { EngineContext } from '../engine-context.ts';
import type { ContactRecord } from '../engine-records.ts';

export type TemplateCheck =
  | { readonly outcome: 'valid'; readonly template: TemplateObject }
  | { readonly outcome: 'refused' };

const refused: TemplateCheck = { outcome: 'refused' };

export async function checkTemplate(
  context: EngineContext,
  message: {
    readonly header: { readonly id: NumericId; readonly category: TemplateCategory } | undefined;
    readonly body: Template;
    readonly sender: ContactRecord | undefined;
  },
): Promise<TemplateCheck> {
  const { header, body, sender } = message;
  if (header?.id !== body.templateId || sender?.kind !== 'business') return refused;
  const hash = toBase64Url(body.hash);
  const record = await fetchTemplate(context, body.templateId, hash);
  if (record?.approval === undefined || record.hash !== hash) return refused;
  const signed = await verifyTemplate(record.signed, { expectedKey: sender.accountKey });
  const approved = await verifyTemplateApproval(record.approval, context.operatorKeys);
  if (signed.outcome !== 'valid' || approved.outcome !== 'valid') return refused;
  const { template } = signed;
  const approval = approved.statement;
  const agrees =
    signed.hash === hash &&
    approval.hash === hash &&
    approval.template === header.id &&
    approval.category === header.category &&
    template.category === header.category &&
    template.business === sender.accountId;
  return agrees ? { outcome: 'valid', template } : refused;
}

/** Undefined when the relay knows no such version. Templates are immutable, so one that was fetched is kept. */
async function fetchTemplate(
  context: EngineContext,
  templateId: NumericId,
  hash: string,
): Promise<TemplateRecord | undefined> {
  const known = context.templates.get(hash);
  if (known !== undefined) return known;
  const answer = await context.connection.call(getTemplate, { templateId, hash });
  switch (answer.outcome) {
    case 'not-found':
      return undefined;
    case 'rate-limited':
      throw new SiegelError('too-many-requests', 'getTemplate');
    case 'template':
      context.templates.set(hash, answer.template);
      return answer.template;
  }
}
