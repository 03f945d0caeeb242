// A template message holds a hash and values. It is shown only as the public object behind them, and only if that object
// agrees with what the relay charged for (design §4).

import { type Template, toBase64Url } from '@siegel/protocol/content';
import type { EnvelopeHeader } from '@siegel/protocol/relay';
import type { EngineContext } from '../engine-context.ts';
import type { ContactRecord } from '../engine-records.ts';
import { believeTemplate, type TemplateBelieved } from '../templates.ts';

export type TemplateCheck =
  | Extract<TemplateBelieved, { outcome: 'template' }>
  | { readonly outcome: 'refused' };

export async function checkTemplate(
  context: EngineContext,
  message: {
    readonly header: EnvelopeHeader['template'];
    readonly body: Template;
    readonly sender: ContactRecord | undefined;
  },
): Promise<TemplateCheck> {
  const { header, body, sender } = message;
  if (header?.id !== body.templateId || sender?.kind !== 'business') return { outcome: 'refused' };
  return believeTemplate(context, {
    templateId: header.id,
    hash: toBase64Url(body.hash),
    category: header.category,
    business: sender,
    operatorKeys: context.operatorKeys,
  });
}
