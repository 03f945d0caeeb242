// What others write is hostile (design §10): characters that reorder or hide text are taken out before it is shown.

// Embeddings, overrides and isolates (Unicode UAX #9 §2), which can make text read backwards.
const bidiFormatting = /[\u202A-\u202E\u2066-\u2069]/gu;
// Marks that only turn a run; harmless in a whole text, and used to lie inside a value.
const bidiMarks = /[\u061C\u200E\u200F]/gu;
// Everything of category Cc but the line feed.
const controls = /[^\P{Cc}\n]/gu;
const lineBreaks = /[\n\u0085\u2028\u2029]/gu;
// Tags, and characters of no width that only make two texts differ unseen.
const invisible = /[\u200B\u2060-\u2064\uFEFF\u{E0000}-\u{E007F}]/gu;

const firstStrongIsolate = '\u2068';
const popDirectionalIsolate = '\u2069';

/** Text of several lines that somebody else wrote. */
export const safeText = (text: string): string =>
  text.replaceAll(bidiFormatting, '').replaceAll(controls, '').replaceAll(invisible, '');

/** A value inside a text of ours: one line, and nothing that reaches beyond it. */
export const safeLine = (text: string): string =>
  text
    .replaceAll(lineBreaks, ' ')
    .replaceAll(bidiFormatting, '')
    .replaceAll(bidiMarks, '')
    .replaceAll(invisible, '')
    .replaceAll(controls, ' ');

/** UAX #9 §2.4: whatever direction it has, what stands around it keeps its own. */
export const isolated = (text: string): string =>
  `${firstStrongIsolate}${safeLine(text)}${popDirectionalIsolate}`;

const filenameCharsMax = 120;

/** A name to save under: no folders, no hidden files, no letters that make `exe` look like `txt`. */
export function safeFilename(name: string | undefined, otherwise: string): string {
  const plain = safeLine(name ?? '')
    .replaceAll(/[\\/:*?"<>|]/g, '_')
    .replace(/^[.\s]+/, '')
    .replace(/[.\s]+$/, '');
  if (plain === '') return otherwise;
  const letters = Array.from(plain);
  if (letters.length <= filenameCharsMax) return plain;
  const extension = /\.[A-Za-z0-9]{1,10}$/.exec(plain)?.[0] ?? '';
  return `${letters.slice(0, filenameCharsMax - extension.length).join('')}${extension}`;
}
