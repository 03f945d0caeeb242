// `GET /{id}` and the lists of a WABA: what a number, an account or a template is. Which of them an id names is found out here.

import { type GatewayContext, type OwnNumber } from '../gateway-context.ts';
import { toTemplateItem } from '../templates/to-template-item.ts';
import type { Access } from '../tokens.ts';
import { type Answer, selectFields } from './answer.ts';
import { ownNumber, ownWaba } from './authorise.ts';
import { noSuchObject } from './cloud-api-error.ts';
import { type PageRequest, page } from './page.ts';

/** `+4930123456` → `+49 30 123456` is a matter of taste; digits after the plus sign are read by every client. */
function phoneNumberNode(number: OwnNumber): Record<string, unknown> {
  return {
    verified_name: number.displayName,
    code_verification_status: 'VERIFIED',
    display_phone_number: number.number,
    quality_rating: 'UNKNOWN',
    platform_type: 'CLOUD_API',
    throughput: { level: 'STANDARD' },
    id: number.phoneNumberId,
    status: 'CONNECTED',
    name_status: 'APPROVED',
    account_mode: 'LIVE',
    is_official_business_account: false,
    is_pin_enabled: false,
  };
}

/** Left out unless asked for, as the platform does. */
const quiet = new Set([
  'status',
  'name_status',
  'account_mode',
  'is_official_business_account',
  'is_pin_enabled',
]);

function shown(node: Record<string, unknown>, fields: string | undefined): Record<string, unknown> {
  if (fields !== undefined && fields !== '') return selectFields(node, fields);
  return Object.fromEntries(Object.entries(node).filter(([name]) => !quiet.has(name)));
}

function wabaNode(context: GatewayContext, id: string): Record<string, unknown> {
  return {
    id,
    name: context.business.legalName,
    country: context.business.country,
    timezone_id: '1',
    message_template_namespace: `siegel_${id}`,
    account_review_status: 'APPROVED',
  };
}

/** A number, a WABA or a template; undefined when the id is none of them. */
export async function getNode(
  context: GatewayContext,
  access: Access,
  asked: { id: string; fields: string | undefined },
): Promise<Answer | undefined> {
  const { id, fields } = asked;
  const number = ownNumber(context, access, id);
  if (!('refusal' in number)) return { body: shown(phoneNumberNode(number.number), fields) };
  const waba = ownWaba(context, access, id);
  if (!('refusal' in waba)) return { body: selectFields(wabaNode(context, id), fields) };
  if (!access.permissions.includes('whatsapp_business_management')) return undefined;
  const template = await context.templates.byId(id);
  if (template === undefined) return undefined;
  return 'refusal' in ownWaba(context, access, template.object.wabaId)
    ? { refusal: noSuchObject }
    : { body: selectFields(toTemplateItem(template), fields) };
}

export function listPhoneNumbers(
  context: GatewayContext,
  access: Access,
  asked: PageRequest & { wabaId: string },
): Answer {
  const waba = ownWaba(context, access, asked.wabaId);
  if ('refusal' in waba) return waba;
  const nodes = waba.numbers.map((number) => shown(phoneNumberNode(number), asked.fields));
  return page(context, access, asked, nodes);
}
