// The automatic rules for templates, one text at a time (T2).

import { TemplateObject } from '@siegel/protocol/relay';
import { describe, expect, it } from 'vitest';
import { findFault } from './template-rules.ts';

const parameter = (name: string, example = 'Brot') => ({
  ...{ name, type: 'text', charsMax: 20, example },
});

type Parts = Partial<TemplateObject['components']> & { readonly text?: string };

function template(names: readonly string[], parts: Parts, more: Partial<TemplateObject> = {}) {
  const { text = 'Guten Tag, alles ist bereit.', ...components } = parts;
  return TemplateObject.parse({
    ...{ v: 1, business: '00000000-0000-4000-8000-000000000001', wabaId: '1', name: 'order' },
    ...{ language: 'de', category: 'utility', parameterFormat: 'positional' },
    components: {
      body: { text, parameters: names.map((name) => parameter(name)) },
      buttons: [],
      ...components,
    },
    ...more,
  });
}

const reasonOf = (...given: Parameters<typeof template>) => findFault(template(...given))?.reason;

const url = (address: string, name?: string) => ({
  buttons: [
    {
      ...{ type: 'url' as const, text: 'Öffnen', url: address },
      ...(name === undefined ? {} : { parameter: parameter(name) as never }),
    },
  ],
});

describe('automatic rules', () => {
  it('T2 a sound template has no fault', () => {
    const text = 'Ihre Bestellung {{1}} ist ab {{2}} Uhr zum Abholen bereit.\nBis bald!';
    expect(reasonOf(['1', '2'], { text })).toBeUndefined();
    expect(reasonOf([], {})).toBeUndefined();
    expect(reasonOf([], url('https://shop.example/o/{{1}}', '1'))).toBeUndefined();
    const named = { parameterFormat: 'named' as const };
    const order = 'Ihre Bestellung {{order}} liegt bereit.';
    expect(reasonOf(['order'], { text: order }, named)).toBeUndefined();
    // Persian and emoji sequences need joiners.
    expect(reasonOf([], { text: 'می‌خواهم 👩‍🍳 نان' })).toBeUndefined();
  });

  it('T2 parameters neither open nor close the body, but for the preset text of a login code', () => {
    expect(reasonOf(['1'], { text: '{{1}} ist heute für Sie bereit' })).toBe('parameter-at-edge');
    expect(reasonOf(['1'], { text: 'Für Sie bereit ist heute {{1}} ' })).toBe('parameter-at-edge');
    const code = '{{1}} ist Ihr Code.';
    expect(reasonOf(['1'], { text: code }, { category: 'authentication' })).toBeUndefined();
  });

  it('T2 parameters are not adjacent', () => {
    const text = 'Guten Tag {{1}} {{2}}, alles ist für Sie bereit.';
    expect(reasonOf(['1', '2'], { text })).toBe('parameters-adjacent');
  });

  it('T2 used and declared parameters are the same, and count from one', () => {
    const text = 'Ihre Bestellung {{1}} liegt bereit.';
    expect(reasonOf([], { text })).toBe('parameter-undeclared');
    expect(reasonOf(['1', '2'], { text })).toBe('parameter-unused');
    expect(reasonOf(['1', '1'], { text })).toBe('parameter-repeated');
    expect(reasonOf(['2'], { text: text.replace('1', '2') })).toBe('parameter-order');
    expect(reasonOf(['order'], { text: text.replace('1', 'order') })).toBe('parameter-name');
    expect(reasonOf(['1'], { text }, { parameterFormat: 'named' })).toBe('parameter-name');
    const strange = 'Ihre {{Bestellung!}} liegt für Sie bereit.';
    expect(reasonOf([], { text: strange })).toBe('parameter-name');
    expect(reasonOf([], { text: 'Ihre {{ Bestellung liegt bereit.' })).toBe('parameter-malformed');
  });

  it('T2 there are enough words around the parameters', () => {
    const text = 'Tag {{1}}, um {{2}} Uhr';
    expect(reasonOf(['1', '2'], { text })).toBe('too-many-parameters');
  });

  it('T2 no control character and none that turns the direction of reading', () => {
    for (const evil of ['\u202e', '\u2066', '\u0007', '\u200f', '\ufeff', '\u2028', '\t']) {
      expect(reasonOf([], { text: `Guten${evil} Tag, alles ist bereit.` })).toBe(
        'characters-not-allowed',
      );
      expect(reasonOf([], { footer: { text: `Ihre${evil} Firma` } })).toBe(
        'characters-not-allowed',
      );
    }
    expect(reasonOf([], { footer: { text: 'zwei\nZeilen' } })).toBe('characters-not-allowed');
  });

  it('T2 header and footer take one parameter and none', () => {
    const two = { type: 'text' as const, text: 'Neu: {{1}} und {{2}}', parameters: [] };
    expect(reasonOf([], { header: two })).toBe('too-many-parameters');
    expect(reasonOf([], { footer: { text: 'Ihr {{1}} Team' } })).toBe('parameter-not-allowed');
  });

  it('T2 the parameter of an address stands at its end and never in its host', () => {
    expect(reasonOf([], url('https://shop.example/{{1}}/x', '1'))).toBe('button-url');
    expect(reasonOf([], url('https://{{1}}', '1'))).toBe('button-url');
    expect(reasonOf([], url('https://shop.example{{1}}', '1'))).toBe('button-url');
    expect(reasonOf([], url('https://a:b@shop.example/'))).toBe('button-url');
    expect(reasonOf([], url('https://shop.example/{{1}}'))).toBe('parameter-undeclared');
  });

  it('T2 buttons are few and different', () => {
    const reply = { type: 'quick-reply' as const, text: 'Ja' };
    expect(reasonOf([], { buttons: [reply, reply] })).toBe('button-repeated');
    const call = { type: 'phone-number' as const, text: 'Anrufen', number: '+4930123456' };
    expect(reasonOf([], { buttons: [call, { ...call, text: 'Noch mal' }] })).toBe(
      'too-many-buttons',
    );
    expect(reasonOf([], { buttons: [{ ...call, number: '0190 666' }] })).toBe('button-number');
  });
});
