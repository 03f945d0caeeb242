// Every way in which what a client sends can differ from what the template asks for.

import type { SendTemplateObject } from '@siegel/protocol/cloud-api';
import { parseSend } from '@siegel/protocol/cloud-api';
import { AccountId, NumericId } from '@siegel/protocol/ids';
import type { TemplateComponents, TemplateParameter } from '@siegel/protocol/relay';
import { describe, expect, test } from 'vitest';
import type { TemplateEntry } from '../templates/template-entry.ts';
import { templateToContent } from './template-to-content.ts';

const parameter = (
  name: string,
  type: TemplateParameter['type'] = 'text',
  charsMax = 20,
): TemplateParameter => ({ name, type, charsMax, example: 'x' });

const entry = (
  components: Partial<TemplateComponents>,
  parameterFormat: 'positional' | 'named' = 'positional',
): TemplateEntry => ({
  templateId: NumericId.parse('1'),
  hash: new Uint8Array(32),
  status: 'approved',
  object: {
    v: 1,
    business: AccountId.parse('0b3f8a10-52a0-4e8e-9c3e-2d1f7a6b5c4d'),
    wabaId: NumericId.parse('2'),
    name: 'x',
    language: 'de',
    category: 'utility',
    parameterFormat,
    components: { body: { text: 'x', parameters: [] }, buttons: [], ...components },
  },
});

function templateOf(components: unknown): SendTemplateObject {
  const template = { name: 'x', language: { code: 'de' }, components };
  const parsed = parseSend({ messaging_product: 'whatsapp', to: '1', type: 'template', template });
  if (parsed.kind !== 'message' || parsed.message.payload.type !== 'template') {
    throw new Error(JSON.stringify(parsed));
  }
  return parsed.message.payload.value;
}
const make = (wanted: TemplateEntry, components: unknown) =>
  templateToContent(templateOf(components), wanted, () => undefined);
const text = (value: string, name?: string) => ({
  type: 'text',
  text: value,
  ...(name === undefined ? {} : { parameter_name: name }),
});
const body = (...parameters: object[]) => [{ type: 'body', parameters }];
const bodyWith = (...parameters: TemplateParameter[]) => ({ body: { text: 'x', parameters } });

describe('taken', () => {
  test('named parameters in any order come in the template’s order', () => {
    const wanted = entry(bodyWith(parameter('name'), parameter('flight')), 'named');
    const made = make(wanted, body(text('NW 7', 'flight'), text('Ada', 'name')));
    expect(made).toMatchObject({
      body: {
        body: [
          { name: 'name', text: 'Ada' },
          { name: 'flight', text: 'NW 7' },
        ],
      },
    });
  });

  test('currency and date_time where the template declares them, and as text where it does not', () => {
    const price = {
      type: 'currency',
      currency: { fallback_value: '9,99 €', code: 'EUR', amount_1000: '9990' },
    };
    const day = {
      type: 'date_time',
      date_time: { fallback_value: '24. Dezember', timestamp: 1_766_534_400 },
    };
    const typed = entry(bodyWith(parameter('1', 'currency'), parameter('2', 'date-time')));
    expect(make(typed, body(price, day))).toMatchObject({
      body: {
        body: [
          { type: 'currency', text: '9,99 €', currency: { code: 'EUR', amount1000: 9990 } },
          { type: 'date-time', text: '24. Dezember', at: 1_766_534_400 },
        ],
      },
    });
    const untyped = entry(bodyWith(parameter('1'), parameter('2')));
    expect(make(untyped, body(price, day))).toMatchObject({
      body: {
        body: [
          { name: '1', type: 'text', text: '9,99 €' },
          { name: '2', type: 'text', text: '24. Dezember' },
        ],
      },
    });
  });

  test('a text header and a place', () => {
    const wanted = entry({ header: { type: 'text', text: '{{1}}', parameters: [parameter('1')] } });
    expect(make(wanted, [{ type: 'header', parameters: [text('Kopf')] }])).toMatchObject({
      body: { header: { values: [{ text: 'Kopf' }] } },
    });
    const location = { latitude: '52.5', longitude: 13.4, name: 'BER' };
    const place = make(entry({ header: { type: 'location' } }), [
      { type: 'HEADER', parameters: [{ type: 'location', location }] },
    ]);
    expect(place).toMatchObject({ body: { header: { location: { latitude: 52.5 } } } });
  });

  test('a code twice, as authentication templates have it', () => {
    const wanted = entry({
      ...bodyWith(parameter('1', 'text', 15)),
      buttons: [{ type: 'copy-code', example: '1' }],
    });
    const made = make(wanted, [
      ...body(text('483920')),
      { type: 'button', sub_type: 'url', index: '0', parameters: [text('483920')] },
    ]);
    expect(made).toMatchObject({ body: { buttons: [{ index: 0, text: '483920' }] } });
  });

  test('components that ask for nothing may be left out', () => {
    const wanted = entry({ buttons: [{ type: 'quick-reply', text: 'Ja' }] });
    expect(make(wanted, undefined)).toMatchObject({ body: { body: [], buttons: [] } });
  });
});

describe('refused', () => {
  const one = entry(bodyWith(parameter('1')));
  const named = entry(bodyWith(parameter('name')), 'named');
  const image = entry({ header: { type: 'image' } });
  const url = entry({
    buttons: [{ type: 'url', text: 'a', url: 'https://x/{{1}}', parameter: parameter('1') }],
  });
  const button = (more: object) => [{ type: 'button', ...more }];
  test.each<[string, TemplateEntry, unknown, number]>([
    ['no parameter', one, undefined, 132000],
    ['two for one', one, body(text('a'), text('b')), 132000],
    ['one for none', entry({}), body(text('a')), 132000],
    ['media in the body', one, body({ type: 'image', image: { id: '1' } }), 132012],
    ['no parameter_name', named, body(text('a')), 132012],
    ['another parameter_name', named, body(text('a', 'nome')), 132000],
    ['too long', one, body(text('x'.repeat(21))), 132005],
    ['empty', one, body(text('')), 131008],
    ['text for a currency', entry(bodyWith(parameter('1', 'currency'))), body(text('9')), 132012],
    ['text for a date', entry(bodyWith(parameter('1', 'date-time'))), body(text('9')), 132012],
    ['no header', image, undefined, 132000],
    ['text for an image', image, [{ type: 'header', parameters: [text('a')] }], 132012],
    [
      'an image not found',
      image,
      [{ type: 'header', parameters: [{ type: 'image', image: { id: '1' } }] }],
      131053,
    ],
    [
      'a header nobody asked for',
      one,
      [...body(text('a')), { type: 'header', parameters: [text('a')] }],
      132000,
    ],
    ['a carousel', one, [...body(text('a')), { type: 'carousel', cards: [] }], 132012],
    [
      'a button that is not there',
      url,
      button({ sub_type: 'url', index: 1, parameters: [text('a')] }),
      132012,
    ],
    [
      'a button twice',
      url,
      [
        ...button({ sub_type: 'url', index: 0, parameters: [text('a')] }),
        ...button({ sub_type: 'url', index: 0, parameters: [text('a')] }),
      ],
      132012,
    ],
    [
      'a button of another kind',
      url,
      button({
        sub_type: 'quick_reply',
        index: 0,
        parameters: [{ type: 'payload', payload: 'p' }],
      }),
      132012,
    ],
    [
      'a button without its value',
      url,
      button({ sub_type: 'url', index: 0, parameters: [] }),
      131008,
    ],
    [
      'a button with two values',
      url,
      button({ sub_type: 'url', index: 0, parameters: [text('a'), text('b')] }),
      132000,
    ],
    [
      'a button value too long',
      url,
      button({ sub_type: 'url', index: 0, parameters: [text('x'.repeat(21))] }),
      132005,
    ],
  ])('%s: %4$i', (_name, wanted, components, code) => {
    const made = make(wanted, components);
    expect('refusal' in made ? made.refusal.code : made).toBe(code);
  });
});
