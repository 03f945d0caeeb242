// Templates are rendered on the device, from values that may be hostile.

import { fc, test as property } from '@fast-check/vitest';
import type { Template, TemplateValue } from '@siegel/protocol/content';
import { AccountId, NumericId } from '@siegel/protocol/ids';
import { type TemplateButton, TemplateObject } from '@siegel/protocol/relay';
import { describe, expect, test } from 'vitest';
import { plainText, type Rendering, renderTemplate } from './render-template.ts';

const parameter = (name: string, type = 'text', charsMax = 30) => ({
  name,
  type,
  charsMax,
  example: 'x',
});

const templateOf = (components: Record<string, unknown>): TemplateObject =>
  TemplateObject.parse({
    v: 1,
    business: AccountId.parse('00000000-2222-4333-8444-555555555555'),
    wabaId: '100',
    name: 'flight_delay',
    language: 'de_DE',
    category: 'utility',
    parameterFormat: 'positional',
    components: { buttons: [], ...components },
  });

const messageOf = (fields: Partial<Template> = {}): Template => ({
  type: 'template',
  templateId: NumericId.parse('7'),
  hash: new Uint8Array(32),
  body: [],
  buttons: [],
  ...fields,
});

const text = (name: string, value: string): TemplateValue => ({ name, type: 'text', text: value });

const flight = templateOf({
  body: {
    text: 'Flug {{1}} nach {{2}}:\nneue Zeit {{3}}, Gebühr {{4}}.',
    parameters: [
      parameter('1'),
      parameter('2'),
      parameter('3', 'date-time'),
      parameter('4', 'currency'),
    ],
  },
  footer: { text: 'Nordwind Air' },
});
const values: TemplateValue[] = [
  text('1', 'NW 204'),
  text('2', 'Kyōto'),
  { name: '3', type: 'date-time', text: '19:30', at: 1_800_000_000 },
  { name: '4', type: 'currency', text: '12,50 EUR', currency: { code: 'EUR', amount1000: 12_500 } },
];

const bodyOf = (rendering: Rendering): string => {
  if (rendering.outcome !== 'rendered') throw new Error(rendering.reason);
  return plainText(rendering.rendered.body).replaceAll(/[\u2068\u2069]/g, '');
};
const reasonOf = (rendering: Rendering) =>
  rendering.outcome === 'refused' ? rendering.reason : 'rendered';

test('values stand in their places, typed ones as the reader’s language writes them', () => {
  const message = messageOf({ body: values });
  expect(bodyOf(renderTemplate(flight, message, { timeZone: 'Europe/Berlin' }))).toBe(
    'Flug NW 204 nach Kyōto:\nneue Zeit 15.01.2027, 09:00, Gebühr 12,50\u00A0€.',
  );
  const english = { locale: 'en-GB', timeZone: 'UTC' };
  expect(bodyOf(renderTemplate(flight, message, english))).toBe(
    'Flug NW 204 nach Kyōto:\nneue Zeit 15 Jan 2027, 08:00, Gebühr €12.50.',
  );
});

test('a value that cannot be formatted is shown in the sender’s words', () => {
  const odd = values.with(3, {
    name: '4',
    type: 'currency',
    text: 'zwölf Taler',
    currency: { code: '€€€', amount1000: 1 },
  });
  const rendered = bodyOf(
    renderTemplate(flight, messageOf({ body: odd }), { timeZone: 'Not/There' }),
  );
  expect(rendered).toContain('zwölf Taler');
  expect(rendered).toContain('19:30');
});

test('literal text and values are told apart, and each value is isolated', () => {
  const rendering = renderTemplate(flight, messageOf({ body: values }));
  if (rendering.outcome !== 'rendered') throw new Error(rendering.reason);
  const kinds = rendering.rendered.body.map(({ kind }) => kind);
  expect(kinds).toEqual([...Array(4).fill(['literal', 'value']).flat(), 'literal']);
  expect(rendering.rendered.body[1]?.text).toBe('\u2068NW 204\u2069');
  expect(rendering.rendered.footer).toBe('Nordwind Air');
});

const hello = templateOf({ body: { text: 'Hallo {{1}}!', parameters: [parameter('1')] } });

describe('values that do not fit are refused', () => {
  test.each([
    ['none at all', [], 'value-missing'],
    ['one too many', [text('1', 'a'), text('2', 'b')], 'value-unknown'],
    ['one twice', [text('1', 'a'), text('1', 'b')], 'value-unknown'],
    ['one too long', [text('1', 'x'.repeat(31))], 'value-too-long'],
    [
      'another type than declared',
      [{ name: '1', type: 'currency', text: 'a' } as const],
      'value-of-wrong-type',
    ],
  ])('%s', (_name, body, reason) => {
    expect(reasonOf(renderTemplate(hello, messageOf({ body })))).toBe(reason);
  });
});

test('length counts letters as people do, not UTF-16 units', () => {
  const body = [text('1', '😀'.repeat(30))];
  expect(reasonOf(renderTemplate(hello, messageOf({ body })))).toBe('rendered');
});

test('a value cannot turn, hide or break the text around it', () => {
  const evil = 'a\u202Egnp.exe\u2069\u2066\n\nKonto gesperrt\u200B\u0000';
  const rendering = renderTemplate(hello, messageOf({ body: [text('1', evil)] }));
  if (rendering.outcome !== 'rendered') throw new Error(rendering.reason);
  expect(rendering.rendered.body[1]?.text).toBe('\u2068agnp.exe  Konto gesperrt \u2069');
});

test('a value that looks like a place or like markup stays text', () => {
  const rendering = renderTemplate(hello, messageOf({ body: [text('1', '{{1}} $& *fett*')] }));
  expect(bodyOf(rendering)).toBe('Hallo {{1}} $& *fett*!');
});

property.prop([fc.string({ unit: 'binary', maxLength: 30 })])(
  'whatever the value, it lies between one isolate and its end, on one line',
  (value) => {
    const rendering = renderTemplate(hello, messageOf({ body: [text('1', value)] }));
    if (rendering.outcome !== 'rendered') throw new Error(rendering.reason);
    const whole = plainText(rendering.rendered.body);
    expect(whole.startsWith('Hallo \u2068') && whole.endsWith('\u2069!')).toBe(true);
    expect(whole.slice(7, -2)).not.toMatch(/[\n\r\u2028\u2029\u202A-\u202E\u2066-\u2069]/u);
  },
);

describe('header', () => {
  const image = templateOf({
    header: { type: 'image' },
    body: { text: 'x', parameters: [] },
  });
  const attachment = {
    type: 'attachment',
    media: 'image',
    contentType: 'image/png',
    blobId: 'b'.repeat(22),
    blobSecret: 's'.repeat(22),
    bytes: 1,
    sealedBytes: 600,
    key: new Uint8Array(32),
    sealedSha256: new Uint8Array(32),
  } as const;

  test('an attachment of the declared kind', () => {
    const rendering = renderTemplate(image, messageOf({ header: { attachment } }));
    expect(rendering).toMatchObject({ rendered: { header: { type: 'image', attachment } } });
  });

  test.each([
    ['nothing', undefined],
    ['another kind of media', { attachment: { ...attachment, media: 'video' as const } }],
    ['text values', { values: [] }],
  ])('%s instead is refused', (_name, header) => {
    const message = messageOf(header === undefined ? {} : { header });
    expect(reasonOf(renderTemplate(image, message))).toBe('header-mismatch');
  });

  test('a header nobody declared is refused', () => {
    const message = messageOf({ body: [text('1', 'a')], header: { attachment } });
    expect(reasonOf(renderTemplate(hello, message))).toBe('header-mismatch');
  });

  test('a text header has values of its own', () => {
    const titled = templateOf({
      header: { type: 'text', text: 'Flug {{1}}', parameters: [parameter('1', 'text', 6)] },
      body: { text: 'x', parameters: [] },
    });
    const rendering = renderTemplate(
      titled,
      messageOf({ header: { values: [text('1', 'NW 1')] } }),
    );
    expect(rendering).toMatchObject({
      rendered: { header: { parts: [{ text: 'Flug ' }, { text: '\u2068NW 1\u2069' }] } },
    });
    expect(reasonOf(renderTemplate(titled, messageOf()))).toBe('value-missing');
  });
});

describe('buttons', () => {
  const buttons: TemplateButton[] = [
    { type: 'quick-reply', text: 'Umbuchen' },
    {
      type: 'url',
      text: 'Ansehen',
      url: 'https://air.example/b/{{1}}',
      parameter: { name: '1', type: 'text', charsMax: 60, example: 'x' },
    },
    { type: 'phone-number', text: 'Anrufen', number: '+4930123456' },
    { type: 'copy-code', example: '123' },
  ];
  const template = templateOf({ body: { text: 'x', parameters: [] }, buttons });
  const render = (url: string, rest: Template['buttons'] = [{ index: 3, text: '4711' }]) =>
    renderTemplate(template, messageOf({ buttons: [{ index: 1, text: url }, ...rest] }));

  test('each with what a tap needs', () => {
    const rendering = render('AB12?lang=de', [
      { index: 0, payload: 'rebook:1' },
      { index: 3, text: '4711' },
    ]);
    expect(rendering).toMatchObject({
      rendered: {
        buttons: [
          { index: 0, type: 'quick-reply', text: 'Umbuchen', payload: 'rebook:1' },
          { index: 1, type: 'url', url: 'https://air.example/b/AB12?lang=de' },
          { index: 2, type: 'phone-number', number: '+4930123456' },
          { index: 3, type: 'copy-code', code: '4711' },
        ],
      },
    });
  });

  test.each(['..', '../../x', '%2e%2e/x', '..\\x', '.%2E'])(
    'the value %s cannot climb out of the approved path',
    (value) => {
      expect(reasonOf(render(value))).toBe('button-mismatch');
    },
  );

  test.each(['@evil.example/', '.evil.example', '//evil.example', ':8443/'])(
    'the value %s cannot choose another host',
    (value) => {
      const bare = templateOf({
        body: { text: 'x', parameters: [] },
        buttons: [{ ...buttons[1], url: 'https://air.example{{1}}' }],
      });
      const message = messageOf({ buttons: [{ index: 0, text: value }] });
      const rendering = renderTemplate(bare, message);
      const host =
        rendering.outcome === 'rendered' && rendering.rendered.buttons[0]?.type === 'url'
          ? new URL(rendering.rendered.buttons[0].url).host
          : 'air.example';
      expect(host).toBe('air.example');
    },
  );

  test.each([
    ['an index beyond the last', [{ index: 4, text: 'x' }], 'button-mismatch'],
    [
      'an index twice',
      [
        { index: 3, text: 'x' },
        { index: 3, text: 'y' },
      ],
      'button-mismatch',
    ],
    ['a code too long', [{ index: 3, text: '1'.repeat(16) }], 'value-too-long'],
    ['no code', [], 'value-missing'],
    [
      'a number of the sender',
      [
        { index: 2, text: '+1' },
        { index: 3, text: '1' },
      ],
      'button-mismatch',
    ],
  ])('%s is refused', (_name, rest, reason) => {
    expect(reasonOf(render('a', rest))).toBe(reason);
  });
});
