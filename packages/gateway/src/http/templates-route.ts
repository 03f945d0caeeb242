// Templates of a WABA: the list that tools fill their menus from, and the submission of a new one.

import { refusalOf, TemplateCreate } from '@siegel/protocol/cloud-api';
import type { GatewayContext } from '../gateway-context.ts';
import type { TemplateEntry } from '../templates/template-entry.ts';
import { toTemplateItem } from '../templates/to-template-item.ts';
import { toTemplateObject } from '../templates/to-template-object.ts';
import type { Access } from '../tokens.ts';
import { type Answer, refuse, selectFields } from './answer.ts';
import { ownWaba, queryText } from './authorise.ts';
import { noSuchObject } from './cloud-api-error.ts';
import { type PageRequest, page } from './page.ts';

/** Filters of the list: each may hold one word, or a JSON array of words. */
function wanted(query: unknown, name: string): ((value: string) => boolean) | undefined {
  const text = queryText(query, name);
  if (text === undefined || text === '' || text.length > 2000) return undefined;
  const words = text
    .replace(/^\[|\]$/g, '')
    .split(',')
    .map((word) => word.trim().replace(/^"|"$/g, '').toLowerCase());
  return (value) => words.includes(value.toLowerCase());
}

function filtered(entries: readonly TemplateEntry[], query: unknown) {
  const items = entries.filter(({ status }) => status !== 'deleted').map(toTemplateItem);
  const filters = (['name', 'status', 'category', 'language'] as const).flatMap((name) => {
    const fits = wanted(query, name);
    return fits === undefined ? [] : [(item: (typeof items)[number]) => fits(item[name])];
  });
  const said = queryText(query, 'name_or_content')?.toLowerCase();
  return items.filter(
    (item) =>
      filters.every((fits) => fits(item)) &&
      (said === undefined ||
        JSON.stringify([item.name, item.components]).toLowerCase().includes(said)),
  );
}

export async function listMessageTemplates(
  context: GatewayContext,
  access: Access,
  asked: PageRequest & { wabaId: string },
): Promise<Answer> {
  const waba = ownWaba(context, access, asked.wabaId);
  if ('refusal' in waba) return waba;
  const entries = await context.templates.list(waba.numbers[0]!.wabaId);
  const items = filtered(entries, asked.query).map((item) => selectFields(item, asked.fields));
  return page(context, access, asked, items);
}

export async function getMessageTemplate(
  context: GatewayContext,
  access: Access,
  asked: { wabaId: string; templateId: string; fields: string | undefined },
): Promise<Answer> {
  const waba = ownWaba(context, access, asked.wabaId);
  if ('refusal' in waba) return waba;
  const entry = await context.templates.byId(asked.templateId);
  return entry?.object.wabaId === asked.wabaId
    ? { body: selectFields(toTemplateItem(entry), asked.fields) }
    : { refusal: noSuchObject };
}

export async function postMessageTemplate(
  context: GatewayContext,
  access: Access,
  created: { wabaId: string; body: unknown },
): Promise<Answer> {
  const waba = ownWaba(context, access, created.wabaId);
  if ('refusal' in waba) return waba;
  const parsed = TemplateCreate.safeParse(created.body, { reportInput: true });
  if (!parsed.success) {
    const { details } = refusalOf(parsed.error);
    return refuse(100, details ?? 'The template is not valid.');
  }
  const { wabaId } = waba.numbers[0]!;
  const made = toTemplateObject(parsed.data, { business: context.business.accountId, wabaId });
  if ('refusal' in made) return made;
  const submitted = await context.templates.submit(made.object);
  switch (submitted.outcome) {
    case 'submitted': {
      const { templateId, status, object } = submitted.entry;
      const category = object.category.toUpperCase();
      return { body: { id: templateId, status: status.toUpperCase(), category } };
    }
    case 'template-invalid':
      return refuse(100, submitted.detail);
    case 'forbidden':
      return refuse(131005, 'This gateway may not sign templates for that account.');
    case 'quota-reached':
      return {
        refusal: {
          code: 4,
          details: 'Too many templates were submitted in the last hour.',
          retryAfterSeconds: submitted.retryAfterSeconds,
        },
      };
  }
}
