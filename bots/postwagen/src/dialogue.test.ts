// What Postwagen's bot says to what people write.
import { expect, test } from 'vitest';
import { dialogue } from './dialogue.ts';

const ask = (text: string, language: 'de' | 'en' = 'de', choice?: string) =>
  dialogue({ text, language, ...(choice === undefined ? {} : { choice }) });

test('a parcel is found by its number, however it is written', () => {
  const expected = {
    kind: 'text',
    text: 'Ihre Sendung PW4711 ist im Zustellwagen. Zustellung heute zwischen 14 und 16 Uhr.',
  };
  for (const text of ['Wo ist PW4711?', 'pw 4711', 'PW-4711']) expect(ask(text)).toEqual(expected);
  expect(ask('track PW9001', 'en')).toEqual({
    kind: 'text',
    text: 'Your parcel PW9001 has been delivered. Left at the front door.',
  });
});

test('an unknown parcel is said to be unknown, a missing number is asked for', () => {
  expect(ask('PW0000')).toMatchObject({ text: expect.stringContaining('finde ich nicht') });
  expect(ask('Wo ist mein Paket?')).toMatchObject({ text: expect.stringContaining('PW4711') });
});

test('opening hours by words and by tap', () => {
  expect(ask('Wann habt ihr geöffnet?')).toEqual(ask('Öffnungszeiten', 'de', 'hours'));
});

test('the quick reply of the delivery notice is understood', () => {
  expect(ask('Nicht zu Hause', 'de', 'Nicht zu Hause')).toEqual(ask('x', 'de', 'absent'));
});

test('a person is fetched on request; everything else gets the list of topics', () => {
  expect(ask('talk to a human', 'en').kind).toBe('hand-over');
  expect(ask('hm').kind).toBe('list');
});
