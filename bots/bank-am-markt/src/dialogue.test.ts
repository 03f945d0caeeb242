// What Bank am Markt's bot says to what people write, and what it never does.
import { expect, test } from 'vitest';
import { dialogue } from './dialogue.ts';

const ask = (text: string, language: 'de' | 'en' = 'de', choice?: string) =>
  dialogue({ text, language, ...(choice === undefined ? {} : { choice }) });

test('a lost card gets the way to block it, by words, by tap and by quick reply', () => {
  const expected = ask('Karte sperren', 'de', 'block-card');
  expect(expected).toMatchObject({ text: expect.stringContaining('069 90009 411') });
  expect(ask('Meine Karte wurde gestohlen')).toEqual(expected);
  expect(ask('Karte sperren', 'de', 'Karte sperren')).toEqual(expected);
});

test('whoever sends a code is warned instead of served', () => {
  expect(ask('meine TAN ist 123456')).toMatchObject({
    text: expect.stringContaining('Schicken Sie niemandem'),
  });
  expect(ask('my login code is 123456', 'en')).toMatchObject({
    text: expect.stringContaining('Never send'),
  });
});

test('no amounts are told', () => {
  expect(ask('Wie ist mein Kontostand?')).toMatchObject({
    text: expect.stringContaining('keine Beträge'),
  });
});

test('branches come with their hours in the language asked', () => {
  expect(ask('Filiale')).toMatchObject({ text: expect.stringContaining('Do bis 18 Uhr') });
  expect(ask('branches', 'en')).toMatchObject({ text: expect.stringContaining('Thu until 6 pm') });
});

test('a person is fetched on request; everything else gets the menu', () => {
  expect(ask('Ich will mit einer Beraterin sprechen').kind).toBe('hand-over');
  expect(ask('hm').kind).toBe('buttons');
});
