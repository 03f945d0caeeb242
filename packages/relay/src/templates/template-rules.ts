// The automatic rules for templates (T2): what no person need look at before it is refused. Pure; the reason is a word for
// programs, the detail a sentence for people.

import type { TemplateObject, TemplateParameter } from '@siegel/protocol/relay';

export type TemplateFault = { readonly reason: string; readonly detail: string };

const fault = (reason: string, detail: string): TemplateFault => ({ reason, detail });

const placeholder = /\{\{([^{}]*)\}\}/g;
/** C0 and C1 controls but the line feed, marks that turn reading direction, line separators, the byte order mark, half a pair. */
// oxlint-disable-next-line no-control-regex
const hostile =
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\p{Cs}]/u;

type Text = {
  readonly where: string;
  readonly text: string;
  readonly parameters: readonly TemplateParameter[];
};

/** The first fault, or undefined. */
export function findFault(template: TemplateObject): TemplateFault | undefined {
  const { header, body, footer, buttons } = template.components;
  return (
    hostileText(template) ??
    (header?.type === 'text' ? headerFault(template, { where: 'header', ...header }) : undefined) ??
    bodyFault(template, { where: 'body', ...body }) ??
    (footer && placeholdersOf(footer.text).length > 0
      ? fault('parameter-not-allowed', 'The footer takes no parameter.')
      : undefined) ??
    buttonsFault(template, buttons)
  );
}

function hostileText({ components }: TemplateObject): TemplateFault | undefined {
  const { header, body, footer, buttons } = components;
  const oneLine = [
    header?.type === 'text' ? header.text : '',
    footer?.text ?? '',
    ...buttons.flatMap((button) => ('text' in button ? [button.text] : [])),
    ...buttons.flatMap((button) => (button.type === 'url' ? [button.url] : [])),
    ...buttons.flatMap((button) => (button.type === 'phone-number' ? [button.number] : [])),
  ];
  const all = [body.text, ...oneLine];
  if (all.some((text) => hostile.test(text))) {
    return fault('characters-not-allowed', 'Control and direction characters are not allowed.');
  }
  if (oneLine.some((text) => text.includes('\n'))) {
    return fault('characters-not-allowed', 'Only the body may have several lines.');
  }
  return undefined;
}

const placeholdersOf = (text: string): string[] =>
  [...text.matchAll(placeholder)].map((match) => match[1] ?? '');

/** Braces, names, and that used and declared parameters are the same. */
function parameterFault(
  { parameterFormat }: TemplateObject,
  { where, text, parameters }: Text,
): TemplateFault | undefined {
  const used = placeholdersOf(text);
  if (/\{\{|\}\}/.test(text.replaceAll(placeholder, ''))) {
    return fault('parameter-malformed', `The ${where} has braces that are no parameter.`);
  }
  const declared = parameters.map(({ name }) => name);
  if (new Set(declared).size !== declared.length) {
    return fault('parameter-repeated', `The ${where} declares a parameter twice.`);
  }
  const isPositional = parameterFormat === 'positional';
  const fits = isPositional ? /^[1-9][0-9]?$/ : /^[a-z][a-z0-9_]*$/;
  if (!used.every((name) => fits.test(name)) || !declared.every((name) => fits.test(name))) {
    return fault('parameter-name', `The parameters of the ${where} are not ${parameterFormat}.`);
  }
  if (used.some((name) => !declared.includes(name))) {
    return fault('parameter-undeclared', `The ${where} uses a parameter it does not declare.`);
  }
  if (declared.some((name) => !used.includes(name))) {
    return fault('parameter-unused', `The ${where} declares a parameter it does not use.`);
  }
  if (isPositional && !declared.every((_, index) => declared.includes(String(index + 1)))) {
    return fault('parameter-order', `The parameters of the ${where} must count from 1.`);
  }
  const tooLong = parameters.some(({ example, charsMax }) => example.length > charsMax);
  return tooLong
    ? fault('example-too-long', `An example of the ${where} is longer than its parameter may be.`)
    : undefined;
}

function headerFault(template: TemplateObject, header: Text): TemplateFault | undefined {
  if (placeholdersOf(header.text).length > 1) {
    return fault('too-many-parameters', 'The header takes one parameter at most.');
  }
  return parameterFault(template, header);
}

function bodyFault(template: TemplateObject, body: Text): TemplateFault | undefined {
  const found = parameterFault(template, body);
  if (found !== undefined) return found;
  const text = body.text.trim();
  if (/\}\}\s*\{\{/.test(text)) {
    return fault('parameters-adjacent', 'Two parameters of the body stand side by side.');
  }
  // The preset text of a login code begins with the code.
  if (template.category === 'authentication') return undefined;
  if (text.startsWith('{{') || text.endsWith('}}')) {
    return fault('parameter-at-edge', 'The body may not begin or end with a parameter.');
  }
  const used = placeholdersOf(text).length;
  const words = text.replaceAll(placeholder, ' ').match(/[\p{L}\p{N}]+/gu) ?? [];
  return used > 0 && words.length < 2 * used + 1
    ? fault('too-many-parameters', 'The body has too many parameters for its length.')
    : undefined;
}

type Buttons = TemplateObject['components']['buttons'];

const buttonsMax: Readonly<Record<Buttons[number]['type'], number>> = {
  'quick-reply': 10,
  url: 2,
  'phone-number': 1,
  'copy-code': 1,
};

function buttonsFault(template: TemplateObject, buttons: Buttons): TemplateFault | undefined {
  for (const [type, max] of Object.entries(buttonsMax)) {
    if (buttons.filter((button) => button.type === type).length > max) {
      return fault('too-many-buttons', `There may be ${max} buttons of type ${type} at most.`);
    }
  }
  const labels = buttons.flatMap((button) => ('text' in button ? [button.text] : []));
  if (new Set(labels).size !== labels.length) {
    return fault('button-repeated', 'Two buttons have the same text.');
  }
  if (labels.some((label) => placeholdersOf(label).length > 0)) {
    return fault('parameter-not-allowed', 'The text of a button takes no parameter.');
  }
  for (const button of buttons) {
    const found = button.type === 'url' ? urlFault(template, button) : undefined;
    if (found !== undefined) return found;
    if (button.type === 'phone-number' && !/^\+[1-9][0-9]{6,14}$/.test(button.number)) {
      return fault('button-number', 'The number of a button must be E.164.');
    }
  }
  return undefined;
}

type UrlButton = Extract<Buttons[number], { type: 'url' }>;

/** The one parameter stands at the end of the path or query, never in the host. */
function urlFault(template: TemplateObject, button: UrlButton): TemplateFault | undefined {
  const { url, parameter } = button;
  const parameters = parameter === undefined ? [] : [parameter];
  // A button's parameter is always its first, whatever the body's are called.
  const asPositional = { ...template, parameterFormat: 'positional' as const };
  const isNamed = parameter !== undefined && !/^\d/.test(parameter.name);
  const found = parameterFault(isNamed ? { ...template, parameterFormat: 'named' } : asPositional, {
    where: 'button',
    text: url,
    parameters,
  });
  if (found !== undefined) return found;
  const fixed = url.replaceAll(placeholder, '');
  const endsRight = parameter === undefined || url.endsWith('}}');
  const host = URL.canParse(fixed) ? new URL(fixed) : undefined;
  const isSafe = host !== undefined && host.username === '' && host.password === '';
  const hostIsWhole = /^https:\/\/[^/?#{}]+[/?#]/.test(url) || parameter === undefined;
  return endsRight && isSafe && hostIsWhole
    ? undefined
    : fault(
        'button-url',
        'The address of a button is not usable, or its parameter not at its end.',
      );
}
