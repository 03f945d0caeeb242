// Names that others chose: without control and direction characters and half surrogates,
// which no name needs and some programs stumble over.

const hostile = /[\p{Cc}\p{Cs}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Undefined when nothing is left. */
export function printable(text: string | undefined): string | undefined {
  const clean = text?.replace(hostile, '').trim();
  return clean === '' ? undefined : clean;
}
