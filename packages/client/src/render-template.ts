// A template and its values become what a person reads. Pure: the public object decides the words, the values only fill
// the places it left, each bounded, on one line and unable to turn the text around it.

import type { Attachment, Location, Template, TemplateValue } from '@siegel/protocol/content';
import type { TemplateButton, TemplateObject, TemplateParameter } from '@siegel/protocol/relay';
import { isolated, safeLine, safeText } from './safe-text.ts';

/** A text in pieces, so that an app can style words without ever styling a value. */
export type TextPart = { readonly kind: 'literal' | 'value'; readonly text: string };

export type RenderedHeader =
  | { readonly type: 'text'; readonly parts: readonly TextPart[] }
  | { readonly type: 'image' | 'video' | 'document'; readonly attachment: Attachment }
  | { readonly type: 'location'; readonly location: Location };

/** `index` names the button in a person's answer. */
export type RenderedButton = { readonly index: number } & (
  | { readonly type: 'quick-reply'; readonly text: string; readonly payload: string }
  | { readonly type: 'url'; readonly text: string; readonly url: string }
  | { readonly type: 'phone-number'; readonly text: string; readonly number: string }
  | { readonly type: 'copy-code'; readonly code: string }
);

export type RenderedTemplate = {
  readonly header?: RenderedHeader;
  readonly body: readonly TextPart[];
  readonly footer?: string;
  readonly buttons: readonly RenderedButton[];
};

export type RenderRefusal =
  | 'value-missing'
  | 'value-unknown'
  | 'value-too-long'
  | 'value-of-wrong-type'
  | 'header-mismatch'
  | 'button-mismatch';

export type Rendering =
  | { readonly outcome: 'rendered'; readonly rendered: RenderedTemplate }
  | { readonly outcome: 'refused'; readonly reason: RenderRefusal };

export type Formatting = {
  /** BCP 47; without it the language of the template */
  readonly locale?: string;
  /** IANA time zone of the reader */
  readonly timeZone?: string;
};

class Refusal extends Error {
  readonly reason: RenderRefusal;
  constructor(reason: RenderRefusal) {
    super(reason);
    this.reason = reason;
  }
}

export function renderTemplate(
  template: TemplateObject,
  message: Template,
  formatting: Formatting = {},
): Rendering {
  const locale = formatting.locale ?? template.language.replace('_', '-');
  const format = { ...formatting, locale };
  const { components } = template;
  try {
    const header = renderHeader(components.header, message.header, format);
    return {
      outcome: 'rendered',
      rendered: {
        body: renderText(components.body, message.body, format),
        buttons: renderButtons(components.buttons, message.buttons),
        ...(header === undefined ? {} : { header }),
        ...(components.footer === undefined ? {} : { footer: safeText(components.footer.text) }),
      },
    };
  } catch (error) {
    if (error instanceof Refusal) return { outcome: 'refused', reason: error.reason };
    throw error;
  }
}

/** The parts as one text; values stand in isolates (Unicode UAX #9 §2.4). */
export const plainText = (parts: readonly TextPart[]): string =>
  parts.map(({ text }) => text).join('');

type Format = Formatting & { readonly locale: string };

function renderHeader(
  declared: TemplateObject['components']['header'],
  given: Template['header'],
  format: Format,
): RenderedHeader | undefined {
  switch (declared?.type) {
    case undefined:
      if (given !== undefined) throw new Refusal('header-mismatch');
      return undefined;
    case 'text': {
      const values = given === undefined ? [] : 'values' in given ? given.values : undefined;
      if (values === undefined) throw new Refusal('header-mismatch');
      return { type: 'text', parts: renderText(declared, values, format) };
    }
    case 'location':
      if (given === undefined || !('location' in given)) throw new Refusal('header-mismatch');
      return { type: 'location', location: given.location };
    case 'image':
    case 'video':
    case 'document': {
      const attachment =
        given !== undefined && 'attachment' in given ? given.attachment : undefined;
      if (attachment?.media !== declared.type) throw new Refusal('header-mismatch');
      return { type: declared.type, attachment };
    }
    default:
      return declared satisfies never;
  }
}

const placeholder = /\{\{([1-9][0-9]?|[a-z][a-z0-9_]{0,59})\}\}/g;

function renderText(
  declared: { readonly text: string; readonly parameters: readonly TemplateParameter[] },
  given: readonly TemplateValue[],
  format: Format,
): TextPart[] {
  const values = valuesByName(declared.parameters, given, format);
  const parts: TextPart[] = [];
  let at = 0;
  for (const match of declared.text.matchAll(placeholder)) {
    const value = values.get(match[1]!);
    // The relay's rules refuse an undeclared place (T2); here it stays what it is: text.
    if (value === undefined) continue;
    addLiteral(parts, declared.text.slice(at, match.index));
    parts.push({ kind: 'value', text: isolated(value) });
    at = match.index + match[0].length;
  }
  addLiteral(parts, declared.text.slice(at));
  return parts;
}

function addLiteral(parts: TextPart[], text: string): void {
  if (text !== '') parts.push({ kind: 'literal', text: safeText(text) });
}

/** Exactly the declared ones, each once. */
function valuesByName(
  parameters: readonly TemplateParameter[],
  given: readonly TemplateValue[],
  format: Format,
): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const value of given) {
    const parameter = parameters.find(({ name }) => name === value.name);
    if (parameter === undefined || values.has(value.name)) throw new Refusal('value-unknown');
    if (parameter.type !== value.type) throw new Refusal('value-of-wrong-type');
    const text = formatValue(value, format);
    checkLength(value.text, parameter);
    checkLength(text, parameter);
    values.set(value.name, text);
  }
  if (values.size !== parameters.length) throw new Refusal('value-missing');
  return values;
}

/** What the device writes itself may be a little longer than the sender's own words: "12.345,67 €" for "€12345.67". */
const formattedCharsMin = 64;

function checkLength(text: string, { type, charsMax }: TemplateParameter): void {
  const max = type === 'text' ? charsMax : Math.max(charsMax, formattedCharsMin);
  if (Array.from(text).length > max) throw new Refusal('value-too-long');
}

function formatValue(value: TemplateValue, { locale, timeZone }: Format): string {
  try {
    if (value.type === 'currency' && value.currency !== undefined) {
      const { code, amount1000 } = value.currency;
      const style = { style: 'currency', currency: code } as const;
      return new Intl.NumberFormat(locale, style).format(amount1000 / 1000);
    }
    if (value.type === 'date-time' && value.at !== undefined) {
      return new Intl.DateTimeFormat(locale, {
        dateStyle: 'medium',
        timeStyle: 'short',
        ...(timeZone === undefined ? {} : { timeZone }),
      }).format(value.at * 1000);
    }
  } catch {
    // A currency, locale, time zone or time this device does not know: the sender's own words stand in (body.ts).
  }
  return value.text;
}

type GivenButton = Template['buttons'][number];

function renderButtons(
  declared: readonly TemplateButton[],
  given: readonly GivenButton[],
): RenderedButton[] {
  const byIndex = new Map(given.map((button) => [button.index, button]));
  const known = given.every(({ index }) => index < declared.length);
  if (!known || byIndex.size !== given.length) throw new Refusal('button-mismatch');
  return declared.map((button, index) => renderButton(button, index, byIndex.get(index)));
}

function renderButton(
  button: TemplateButton,
  index: number,
  given: GivenButton | undefined,
): RenderedButton {
  switch (button.type) {
    case 'quick-reply': {
      if (given?.text !== undefined) throw new Refusal('button-mismatch');
      const payload = given?.payload ?? button.text;
      return { index, type: 'quick-reply', text: safeLine(button.text), payload };
    }
    case 'url':
      return { index, type: 'url', text: safeLine(button.text), url: urlOf(button, given?.text) };
    case 'phone-number': {
      if (given !== undefined) throw new Refusal('button-mismatch');
      const { number } = button;
      return { index, type: 'phone-number', text: safeLine(button.text), number: safeLine(number) };
    }
    case 'copy-code': {
      const code = given?.text;
      if (code === undefined) throw new Refusal('value-missing');
      if (Array.from(code).length > copyCodeCharsMax) throw new Refusal('value-too-long');
      return { index, type: 'copy-code', code: safeLine(code) };
    }
    default:
      return button satisfies never;
  }
}

/** As its example in the contract. */
const copyCodeCharsMax = 15;

type UrlButton = Extract<TemplateButton, { type: 'url' }>;

/**
 * The value goes on after what was approved, as Cloud API clients expect: it may add path and query, but whatever it holds,
 * the address still begins with the approved part. `..`, another host and user names do not.
 */
function urlOf(button: UrlButton, value: string | undefined): string {
  const { parameter } = button;
  if (parameter === undefined) {
    if (value !== undefined) throw new Refusal('button-mismatch');
    return httpsUrl(button.url).href;
  }
  if (value === undefined) throw new Refusal('value-missing');
  if (Array.from(value).length > parameter.charsMax) throw new Refusal('value-too-long');
  const place = `{{${parameter.name}}}`;
  const [approved = '', ...rest] = button.url.split(place);
  const url = httpsUrl([approved, ...rest].join(safeLine(value)));
  if (!url.href.startsWith(httpsUrl(approved).href)) throw new Refusal('button-mismatch');
  return url.href;
}

function httpsUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') {
    throw new Refusal('button-mismatch');
  }
  return url;
}
