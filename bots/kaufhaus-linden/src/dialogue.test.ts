// What Kaufhaus Linden's bot says to what people write.
import { expect, test } from 'vitest';
import { dialogue } from './dialogue.ts';

const ask = (text: string, language: 'de' | 'en' = 'de', choice?: string) =>
  dialogue({ text, language, ...(choice === undefined ? {} : { choice }) });

test('an order is found by its number', () => {
  expect(ask('Was ist mit Bestellung L-1002?')).toEqual({
    kind: 'text',
    text: 'Ihre Bestellung L-1002 wird gerade zusammengestellt; wir versenden sie morgen.',
  });
  expect(ask('order l1003', 'en')).toEqual({
    kind: 'text',
    text: 'Your order L-1003 is ready for collection on the ground floor.',
  });
});

test('an unknown order is said to be unknown, a missing number is asked for', () => {
  expect(ask('L-9999')).toMatchObject({ text: expect.stringContaining('finde ich nicht') });
  expect(ask('wo bleibt meine Bestellung')).toMatchObject({
    text: expect.stringContaining('Bestellnummer'),
  });
});

test('opening hours and returns by words and by tap', () => {
  expect(ask('seid ihr samstags offen?')).toEqual(ask('', 'de', 'hours'));
  expect(ask('how do I return this', 'en')).toEqual(ask('', 'en', 'returns'));
});

test('a person is fetched on request; everything else gets the menu', () => {
  expect(ask('Mitarbeiter').kind).toBe('hand-over');
  expect(ask('hm').kind).toBe('buttons');
});
