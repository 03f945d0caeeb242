// What Nordwind Air's bot says to what people write.
import { expect, test } from 'vitest';
import { dialogue } from './dialogue.ts';

const ask = (text: string, language: 'de' | 'en' = 'de', choice?: string) =>
  dialogue({ text, language, ...(choice === undefined ? {} : { choice }) });

test.each([
  [
    'Ist NW101 pünktlich?',
    'NW101 von Hamburg nach Wien ist pünktlich: Abflug 08:15 Uhr, Gate A12.',
  ],
  [
    'nw 204',
    'NW204 von Hamburg nach Lissabon ist verspätet: neuer Abflug 15:10 Uhr statt 14:25 Uhr, ' +
      'Gate B7.',
  ],
  ['Flug NW-318', 'NW318 von Berlin nach Zürich steigt gerade ein: Gate C3, Abflug 11:40 Uhr.'],
])('%s', (text, answer) => {
  expect(ask(text)).toEqual({ kind: 'text', text: answer });
});

test('the same in English', () => {
  expect(ask('is NW204 on time?', 'en')).toEqual({
    kind: 'text',
    text:
      'NW204 from Hamburg to Lisbon is delayed: it now leaves at 15:10 instead of 14:25, gate ' +
      'B7.',
  });
});

test('an unknown flight is said to be unknown', () => {
  expect(ask('NW999')).toMatchObject({ text: expect.stringContaining('NW999') });
  expect(ask('NW999')).toMatchObject({ text: expect.stringContaining('kenne ich heute nicht') });
});

test.each([
  'Ich möchte mit einem Menschen sprechen',
  'Mensch',
  'can I talk to a person',
  'agent please',
  'mit einer Mitarbeiterin reden',
  'kann ich mit jemandem sprechen',
])('%s hands over', (text) => {
  expect(ask(text).kind).toBe('hand-over');
});

test('a tapped button is answered like its words', () => {
  expect(ask('Gepäck', 'de', 'baggage')).toMatchObject({ kind: 'text' });
  expect(ask('Mit Mensch sprechen', 'de', 'person').kind).toBe('hand-over');
  // A quick reply of a template carries its own text as payload.
  expect(ask('Mit Mensch sprechen', 'de', 'Mit Mensch sprechen').kind).toBe('hand-over');
});

test('everything else gets the menu, which says that a machine speaks', () => {
  const menu = ask('Rezept für Apfelkuchen');
  expect(menu.kind).toBe('buttons');
  expect(menu).toMatchObject({ message: { footer: 'Automatische Antwort' } });
  expect(ask('hello', 'en')).toMatchObject({ message: { footer: 'Automatic answer' } });
});

test('a very long text is answered at once', () => {
  expect(ask('a '.repeat(100_000)).kind).toBe('buttons');
});
