// Which language a few words are taken for.
import { expect, test } from 'vitest';
import { detectLanguage, languageOfNumber } from './language.ts';

test.each([
  ['Wo ist mein Paket PW4711?', 'de'],
  ['Where is my parcel PW4711?', 'en'],
  ['öffnungszeiten', 'de'],
  ['opening hours', 'en'],
  ['ist NW204 pünktlich', 'de'],
  ['is NW204 on time', 'en'],
  ['Ich möchte mit einem Menschen sprechen', 'de'],
  ['talk to a person please', 'en'],
])('%s is %s', (text, language) => {
  expect(detectLanguage(text)).toBe(language);
});

test('a bare number tells no language, nor does an empty text', () => {
  expect(detectLanguage('NW204')).toBeUndefined();
  expect(detectLanguage('')).toBeUndefined();
  expect(detectLanguage('🙂')).toBeUndefined();
});

test('the country of a number is the first guess', () => {
  expect(languageOfNumber('4917139200001')).toBe('de');
  expect(languageOfNumber('436601234567')).toBe('de');
  expect(languageOfNumber('447700900123')).toBe('en');
  expect(languageOfNumber(undefined)).toBe('en');
});
