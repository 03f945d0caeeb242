// A template send becomes hash and typed values (design §4). Counts and formats are checked here, so that the client gets
// the Cloud API's own codes at once instead of a silent refusal on the person's device.

import type {
  CloudApiRefusal,
  SendTemplateObject,
  TemplateComponentObject,
  TemplateParameterObject,
} from '@siegel/protocol/cloud-api';
import type { Attachment, Template, TemplateValue } from '@siegel/protocol/content';
import type { TemplateButton, TemplateParameter } from '@siegel/protocol/relay';
import type { TemplateEntry } from '../templates/template-entry.ts';

export type AttachmentOf = (media: object) => Attachment | undefined;

type Refused = { readonly refusal: CloudApiRefusal };
const refuse = (code: CloudApiRefusal['code'], details: string): Refused => ({
  refusal: { code, details },
});

/** 132001, 132015 or 132016 for a template that may not be sent now. */
export function templateStanding(entry: TemplateEntry | undefined): CloudApiRefusal | undefined {
  switch (entry?.status) {
    case 'approved':
      return undefined;
    case 'paused':
      return { code: 132015 };
    case 'disabled':
      return { code: 132016 };
    case 'pending':
      return { code: 132001, details: 'The template waits for approval and cannot be sent yet.' };
    case 'rejected':
      return {
        code: 132001,
        details: 'The template was rejected. Change it and submit it again.',
      };
    default:
      return {
        code: 132001,
        details: 'There is no template of this name in this language.',
      };
  }
}

type ValueParameter = Extract<TemplateParameterObject, { type: 'text' | 'currency' | 'date_time' }>;

const isValue = (parameter: TemplateParameterObject): parameter is ValueParameter =>
  parameter.type === 'text' || parameter.type === 'currency' || parameter.type === 'date_time';

const countMismatch = (place: string, got: number, expected: number): Refused =>
  refuse(
    132000,
    `${place}: number of localizable_params (${got}) does not match the expected number of params (${expected})`,
  );

function textOf(parameter: ValueParameter): string {
  if (parameter.type === 'text') return parameter.text;
  return parameter.type === 'currency'
    ? parameter.currency.fallback_value
    : parameter.date_time.fallback_value;
}

/** A value for one parameter. A text parameter takes any value as its fallback text: the API's creators declare no types. */
function valueFor(
  place: string,
  wanted: TemplateParameter,
  given: ValueParameter,
): TemplateValue | Refused {
  const text = textOf(given);
  const where = `${place}: parameter ${wanted.name}`;
  if (text === '') return refuse(131008, `${where} of type ${given.type} has no value`);
  if (text.length > wanted.charsMax) {
    return refuse(132005, `${where} is longer than ${wanted.charsMax} characters`);
  }
  const plain = { name: wanted.name, type: wanted.type, text };
  if (wanted.type === 'text') return plain;
  if (wanted.type === 'currency') {
    if (given.type !== 'currency') return refuse(132012, `${where} must be a currency`);
    const { code, amount_1000: amount1000 } = given.currency;
    return { ...plain, currency: { code, amount1000 } };
  }
  if (given.type !== 'date_time') return refuse(132012, `${where} must be a date_time`);
  const at = given.date_time.timestamp;
  return at === undefined ? plain : { ...plain, at };
}

/** The given parameters in the order of the template: by position, or by name. */
function inOrder(
  place: string,
  wanted: readonly TemplateParameter[],
  given: readonly ValueParameter[],
  named: boolean,
): { values: readonly ValueParameter[] } | Refused {
  if (given.length !== wanted.length) return countMismatch(place, given.length, wanted.length);
  if (!named) return { values: given };
  if (given.some(({ parameter_name: name }) => name === undefined || name === '')) {
    return refuse(132012, `${place}: every parameter of a named template needs parameter_name`);
  }
  const values: ValueParameter[] = [];
  for (const { name } of wanted) {
    const value = given.find((one) => one.parameter_name === name);
    if (value === undefined) return refuse(132000, `${place}: parameter ${name} is missing`);
    values.push(value);
  }
  return { values };
}

function valuesFor(
  place: string,
  wanted: readonly TemplateParameter[],
  given: readonly TemplateParameterObject[],
  named: boolean,
): { values: TemplateValue[] } | Refused {
  const plain = given.filter(isValue);
  if (plain.length !== given.length) {
    return refuse(132012, `${place}: only text, currency and date_time fit here`);
  }
  const ordered = inOrder(place, wanted, plain, named);
  if ('refusal' in ordered) return ordered;
  const values: TemplateValue[] = [];
  for (const [index, parameter] of wanted.entries()) {
    const value = valueFor(place, parameter, ordered.values[index]!);
    if ('refusal' in value) return value;
    values.push(value);
  }
  return { values };
}

function headerFor(
  entry: TemplateEntry,
  given: readonly TemplateParameterObject[],
  attachmentOf: AttachmentOf,
): { header?: NonNullable<Template['header']> } | Refused {
  const wanted = entry.object.components.header;
  if (wanted === undefined)
    return given.length === 0 ? {} : countMismatch('header', given.length, 0);
  if (wanted.type === 'text') {
    const named = entry.object.parameterFormat === 'named';
    const found = valuesFor('header', wanted.parameters, given, named);
    if ('refusal' in found) return found;
    return found.values.length === 0 ? {} : { header: { values: found.values } };
  }
  const [only] = given;
  if (only === undefined || given.length > 1) return countMismatch('header', given.length, 1);
  if (only.type !== wanted.type) {
    return refuse(132012, `header: Format mismatch, expected ${wanted.type.toUpperCase()}`);
  }
  if (only.type === 'location') {
    const { latitude, longitude, name, address } = only.location;
    const location = {
      type: 'location' as const,
      latitude,
      longitude,
      ...(name === undefined ? {} : { name }),
      ...(address === undefined ? {} : { address }),
    };
    return { header: { location } };
  }
  const attachment = attachmentOf((only as unknown as Record<string, object>)[only.type]!);
  return attachment === undefined
    ? refuse(131053, `header: the ${wanted.type} could not be read`)
    : { header: { attachment } };
}

type ButtonContent = Template['buttons'][number];

const kindOf = { 'quick-reply': 'quick_reply', url: 'url', 'copy-code': 'copy_code' } as const;

function buttonFor(
  index: number,
  wanted: TemplateButton,
  component: TemplateComponentObject | undefined,
): ButtonContent | Refused | undefined {
  const [parameter, ...more] = component?.parameters ?? [];
  const place = `button at index ${index}`;
  if (more.length > 0) return countMismatch(place, more.length + 1, 1);
  const kind = wanted.type === 'phone-number' ? undefined : kindOf[wanted.type];
  // An authentication template's code button is addressed as `url` by Meta's own examples.
  const said = component?.sub_type;
  const alike =
    said === undefined || said === kind || (kind === 'copy_code' && said !== 'quick_reply');
  if (component !== undefined && !alike) {
    return refuse(132012, `${place}: sub_type ${said} does not match the template`);
  }
  const text =
    parameter?.type === 'text'
      ? parameter.text
      : parameter?.type === 'coupon_code'
        ? parameter.coupon_code
        : undefined;
  if (wanted.type === 'quick-reply') {
    if (parameter === undefined) return undefined;
    if (parameter.type !== 'payload') return refuse(132012, `${place}: a payload is needed`);
    return { index, payload: parameter.payload };
  }
  const bound =
    wanted.type === 'copy-code'
      ? 15
      : wanted.type === 'url'
        ? wanted.parameter?.charsMax
        : undefined;
  if (bound === undefined) {
    return parameter === undefined ? undefined : countMismatch(place, 1, 0);
  }
  if (text === undefined || text === '') {
    return refuse(131008, `${place} of type ${kind} requires a parameter`);
  }
  return text.length > bound
    ? refuse(132005, `${place}: the parameter is longer than ${bound} characters`)
    : { index, text };
}

function buttonsFor(
  entry: TemplateEntry,
  components: readonly TemplateComponentObject[],
): { buttons: ButtonContent[] } | Refused {
  const wanted = entry.object.components.buttons;
  const given = new Map<number, TemplateComponentObject>();
  let next = 0;
  for (const component of components) {
    const index = component.index ?? next;
    if (wanted[index] === undefined) {
      return refuse(132012, `button at index ${index}: the template has ${wanted.length} buttons`);
    }
    if (given.has(index)) return refuse(132012, `button at index ${index} is given twice`);
    given.set(index, component);
    next = index + 1;
  }
  const buttons: ButtonContent[] = [];
  for (const [index, button] of wanted.entries()) {
    const content = buttonFor(index, button, given.get(index));
    if (content === undefined) continue;
    if ('refusal' in content) return content;
    buttons.push(content);
  }
  return { buttons };
}

export function templateToContent(
  template: SendTemplateObject,
  entry: TemplateEntry,
  attachmentOf: AttachmentOf,
): { readonly body: Template } | Refused {
  const standing = templateStanding(entry);
  if (standing !== undefined) return { refusal: standing };
  const unserved = template.components.find(({ type }) =>
    ['carousel', 'limited_time_offer', 'order_details', 'order_status'].includes(type),
  );
  if (unserved !== undefined) {
    return refuse(132012, `components of type ${unserved.type} are not part of this template`);
  }
  const parametersOf = (type: 'header' | 'body') =>
    template.components.filter((one) => one.type === type).flatMap((one) => one.parameters);
  const header = headerFor(entry, parametersOf('header'), attachmentOf);
  if ('refusal' in header) return header;
  const named = entry.object.parameterFormat === 'named';
  const wanted = entry.object.components.body.parameters;
  const body = valuesFor('body', wanted, parametersOf('body'), named);
  if ('refusal' in body) return body;
  const buttons = buttonsFor(
    entry,
    template.components.filter(({ type }) => type === 'button'),
  );
  if ('refusal' in buttons) return buttons;
  return {
    body: {
      type: 'template',
      templateId: entry.templateId,
      hash: entry.hash,
      ...header,
      body: body.values,
      buttons: buttons.buttons,
    },
  };
}
