// The public object and its standing → an item of `GET /{waba}/message_templates`.

import type { TemplateItem } from '@siegel/protocol/cloud-api';
import type {
  TemplateButton,
  TemplateComponents,
  TemplateParameter,
  TemplateStatus,
} from '@siegel/protocol/relay';
import { presetTexts } from './preset-texts.ts';
import type { TemplateEntry } from './template-entry.ts';

const statuses: Record<TemplateStatus, string> = {
  pending: 'PENDING',
  approved: 'APPROVED',
  rejected: 'REJECTED',
  paused: 'PAUSED',
  disabled: 'DISABLED',
  deleted: 'DELETED',
};

type Named = 'POSITIONAL' | 'NAMED';

function exampleOf(
  place: 'header' | 'body',
  parameters: readonly TemplateParameter[],
  format: Named,
): Record<string, unknown> {
  if (parameters.length === 0) return {};
  if (format === 'NAMED') {
    const named = parameters.map(({ name, example }) => ({ param_name: name, example }));
    return { example: { [`${place}_text_named_params`]: named } };
  }
  const list = parameters.map(({ example }) => example);
  return { example: { [`${place}_text`]: place === 'body' ? [list] : list } };
}

function headerItem(header: TemplateComponents['header'], format: Named): { type: string }[] {
  if (header === undefined) return [];
  if (header.type !== 'text') return [{ type: 'HEADER', ...{ format: header.type.toUpperCase() } }];
  const example = exampleOf('header', header.parameters, format);
  return [{ type: 'HEADER', ...{ format: 'TEXT', text: header.text, ...example } }];
}

function buttonItem(button: TemplateButton, entry: TemplateEntry): Record<string, unknown> {
  switch (button.type) {
    case 'quick-reply':
      return { type: 'QUICK_REPLY', text: button.text };
    case 'phone-number':
      return { type: 'PHONE_NUMBER', text: button.text, phone_number: button.number };
    case 'url': {
      const example = button.parameter === undefined ? {} : { example: [button.parameter.example] };
      return { type: 'URL', text: button.text, url: button.url, ...example };
    }
    case 'copy-code': {
      const text = presetTexts(entry.object.language).button;
      return entry.object.category === 'authentication'
        ? { type: 'OTP', otp_type: 'COPY_CODE', text }
        : { type: 'COPY_CODE', text, example: [button.example] };
    }
  }
}

export function toTemplateItem(entry: TemplateEntry): TemplateItem {
  const { object, status } = entry;
  const { header, body, footer, buttons } = object.components;
  const format: Named = object.parameterFormat === 'named' ? 'NAMED' : 'POSITIONAL';
  return {
    name: object.name,
    parameter_format: format,
    components: [
      ...headerItem(header, format),
      { type: 'BODY', ...{ text: body.text, ...exampleOf('body', body.parameters, format) } },
      ...(footer === undefined ? [] : [{ type: 'FOOTER', ...{ text: footer.text } }]),
      ...(buttons.length === 0
        ? []
        : [{ type: 'BUTTONS', ...{ buttons: buttons.map((one) => buttonItem(one, entry)) } }]),
    ],
    language: object.language,
    status: statuses[status],
    category: object.category.toUpperCase(),
    rejected_reason: status === 'rejected' ? (entry.reason ?? 'INVALID_FORMAT') : 'NONE',
    quality_score: { score: 'UNKNOWN' },
    id: entry.templateId,
  };
}
