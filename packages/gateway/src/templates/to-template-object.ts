// A template as a client creates it → the public object that is signed and reviewed. Parameters are read off the text.

import {
  type CloudApiRefusal,
  type TemplateButtonInput,
  type TemplateComponentInput,
  type TemplateCreate,
} from '@siegel/protocol/cloud-api';
import type { AccountId, NumericId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import {
  type TemplateButton,
  type TemplateComponents,
  TemplateObject,
  type TemplateParameter,
} from '@siegel/protocol/relay';
import { presetTexts } from './preset-texts.ts';

type Refused = { readonly refusal: CloudApiRefusal };
const refuse = (details: string): Refused => ({ refusal: { code: 100, details } });

const placeholders = /\{\{\s*([^{}]{1,60}?)\s*\}\}/g;
const positional = /^[1-9][0-9]?$/;
const named = /^[a-z][a-z0-9_]{0,59}$/;

type Examples = {
  readonly list: readonly string[];
  readonly byName: ReadonlyMap<string, string>;
};

function examplesOf(component: TemplateComponentInput): Examples {
  const { example } = component;
  const isHeader = component.type === 'HEADER';
  const listed = isHeader ? example?.header_text : example?.body_text?.flat();
  const byName = isHeader ? example?.header_text_named_params : example?.body_text_named_params;
  return {
    list: listed ?? [],
    byName: new Map(byName?.map(({ param_name: name, example: text }) => [name, text])),
  };
}

/** `{{1}}`, `{{2}}` … without gaps, or `{{names}}`; every one once, in order of first use. */
function parametersOf(
  place: string,
  text: string,
  format: 'positional' | 'named',
  examples: Examples,
): { parameters: TemplateParameter[] } | Refused {
  const names = [...new Set([...text.matchAll(placeholders)].map(([, name]) => name as string))];
  const pattern = format === 'named' ? named : positional;
  if (!names.every((name) => pattern.test(name))) {
    return refuse(`${place}: a parameter does not fit the parameter format ${format}.`);
  }
  if (format === 'positional') {
    names.sort((a, b) => Number(a) - Number(b));
    if (names.some((name, index) => Number(name) !== index + 1)) {
      return refuse(`${place}: parameters must be numbered from {{1}} without gaps.`);
    }
  }
  const parameters = names.map((name, index) => ({
    name,
    type: 'text' as const,
    charsMax: limits.templateParameterCharsMax,
    example: (format === 'named' ? examples.byName.get(name) : examples.list[index]) ?? '',
  }));
  return { parameters };
}

function headerOf(
  component: TemplateComponentInput | undefined,
  format: 'positional' | 'named',
): { header?: TemplateComponents['header'] } | Refused {
  if (component === undefined) return {};
  switch (component.format ?? 'TEXT') {
    case 'TEXT': {
      const text = component.text;
      if (text === undefined || text.length > 60) {
        return refuse('HEADER: a text of 1 to 60 characters is needed.');
      }
      const found = parametersOf('HEADER', text, format, examplesOf(component));
      if ('refusal' in found) return found;
      if (found.parameters.length > 1) return refuse('HEADER: at most one parameter is allowed.');
      return { header: { type: 'text', text, parameters: found.parameters } };
    }
    case 'IMAGE':
      return { header: { type: 'image' } };
    case 'VIDEO':
      return { header: { type: 'video' } };
    case 'DOCUMENT':
      return { header: { type: 'document' } };
    case 'LOCATION':
      return { header: { type: 'location' } };
  }
}

const firstExample = (example: TemplateButtonInput['example']): string | undefined =>
  Array.isArray(example) ? example[0] : example;

function buttonOf(input: TemplateButtonInput, language: string): TemplateButton | Refused {
  const { type, text } = input;
  if (type === 'COPY_CODE' || type === 'OTP') {
    const example = firstExample(input.example)?.slice(0, 15) ?? '123456';
    return { type: 'copy-code', example };
  }
  const label = text ?? (type === 'URL' ? presetTexts(language).button : undefined);
  if (label === undefined) return refuse(`BUTTONS: a ${type} button needs a text.`);
  if (type === 'QUICK_REPLY') return { type: 'quick-reply', text: label };
  if (type === 'PHONE_NUMBER') {
    const number = input.phone_number;
    return number === undefined
      ? refuse('BUTTONS: a PHONE_NUMBER button needs phone_number.')
      : { type: 'phone-number', text: label, number };
  }
  return urlButton(input, label);
}

function urlButton(input: TemplateButtonInput, text: string): TemplateButton | Refused {
  const { url } = input;
  if (url === undefined || !/^https:\/\//.test(url)) {
    return refuse('BUTTONS: a URL button needs a url that begins with https://.');
  }
  const found = [...url.matchAll(placeholders)];
  if (found.length === 0) return { type: 'url', text, url };
  if (found.length > 1 || !/\{\{\s*1\s*\}\}$/.test(url)) {
    return refuse('BUTTONS: a url may hold one parameter, {{1}}, at its end.');
  }
  const example = firstExample(input.example) ?? '';
  const parameter = { name: '1', type: 'text' as const, charsMax: 1024, example };
  return { type: 'url', text, url, parameter };
}

function buttonsOf(
  component: TemplateComponentInput | undefined,
  language: string,
): { buttons: TemplateButton[] } | Refused {
  const buttons: TemplateButton[] = [];
  for (const input of component?.buttons ?? []) {
    const button = buttonOf(input, language);
    if ('refusal' in button) return button;
    buttons.push(button);
  }
  return { buttons };
}

/** The wording of an authentication template is the platform's own. */
function authenticationTexts(
  create: TemplateCreate,
  body: TemplateComponentInput | undefined,
  footer: TemplateComponentInput | undefined,
): { body: string; footer?: string } {
  const preset = presetTexts(create.language);
  const minutes = footer?.code_expiration_minutes;
  return {
    body: preset.body + (body?.add_security_recommendation === true ? preset.recommendation : ''),
    ...(minutes === undefined ? {} : { footer: preset.expiry(minutes) }),
  };
}

function componentsOf(
  create: TemplateCreate,
  format: 'positional' | 'named',
): { components: TemplateComponents } | Refused {
  const of = (type: TemplateComponentInput['type']) =>
    create.components.find((component) => component.type === type);
  const body = of('BODY');
  const footer = of('FOOTER');
  const texts =
    create.category === 'AUTHENTICATION'
      ? authenticationTexts(create, body, footer)
      : { body: body?.text, footer: footer?.text };
  if (texts.body === undefined) return refuse('A BODY component with a text is needed.');
  const header = headerOf(of('HEADER'), format);
  if ('refusal' in header) return header;
  const examples =
    body === undefined ? { list: [], byName: new Map<string, string>() } : examplesOf(body);
  const found = parametersOf('BODY', texts.body, format, examples);
  if ('refusal' in found) return found;
  const buttons = buttonsOf(of('BUTTONS'), create.language);
  if ('refusal' in buttons) return buttons;
  return {
    components: {
      ...header,
      body: { text: texts.body, parameters: found.parameters },
      ...(texts.footer === undefined ? {} : { footer: { text: texts.footer } }),
      buttons: buttons.buttons,
    },
  };
}

const categories = {
  MARKETING: 'marketing',
  UTILITY: 'utility',
  AUTHENTICATION: 'authentication',
} as const;

export function toTemplateObject(
  create: TemplateCreate,
  owner: { business: AccountId; wabaId: NumericId },
): { object: TemplateObject } | Refused {
  const types = create.components.map(({ type }) => type);
  if (new Set(types).size !== types.length) return refuse('Each type of component may stand once.');
  const format = create.parameter_format ?? 'positional';
  const found = componentsOf(create, format);
  if ('refusal' in found) return found;
  const object = TemplateObject.safeParse({
    v: 1,
    ...owner,
    name: create.name,
    language: create.language,
    category: categories[create.category],
    parameterFormat: format,
    components: found.components,
  });
  if (object.success) return { object: object.data };
  const issue = object.error.issues[0];
  return refuse(`${issue?.path.join('.') ?? 'components'} is not valid.`);
}
