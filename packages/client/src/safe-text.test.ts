// What others write is shown without the characters that could mislead.

import { expect, test } from 'vitest';
import { isolated, safeFilename, safeLine, safeText } from './safe-text.ts';

test('safeText keeps lines and letters of every script, and loses what reorders or hides', () => {
  expect(safeText('مرحبا\u200F!\nשלום\u202E.\u0007👩‍👩‍👧\uFEFF')).toBe('مرحبا\u200F!\nשלום.👩‍👩‍👧');
});

test('safeLine is one line', () => {
  expect(safeLine('a\r\nb\tc\u2028d\u200Fe')).toBe('a  b c de');
});

test('isolated text cannot end its own isolate', () => {
  expect(isolated('a\u2069b')).toBe('\u2068ab\u2069');
});

test.each([
  ['../../etc/passwd', '_.._etc_passwd'],
  ['photo\u202Egnp.exe', 'photognp.exe'],
  ['.bashrc', 'bashrc'],
  ['rechnung.pdf.', 'rechnung.pdf'],
  ['C:\\x', 'C__x'],
  ['   ', 'file'],
  [undefined, 'file'],
  [`${'ä'.repeat(300)}.pdf`, `${'ä'.repeat(116)}.pdf`],
])('the file name %j is saved as %j', (name, safe) => {
  expect(safeFilename(name, 'file')).toBe(safe);
});
