// Reads a phone number in whatever way a client writes it. Both spellings of a Mexican or Argentine mobile are one person.

import { PhoneNumber } from '@siegel/protocol/ids';

const separators = /[\s().\-/\u00a0\u2010-\u2015\u202a-\u202e\u2066-\u2069]/g;

/** Mobiles of Mexico lost their 1 after the country code; those of Argentina have a 9 there. */
function oneSpelling(digits: string): string {
  if (/^521\d{10}$/.test(digits)) return `52${digits.slice(3)}`;
  if (/^54[1-8]\d{9}$/.test(digits)) return `549${digits.slice(2)}`;
  return digits;
}

/** E.164, or undefined for what cannot be a number with its country code. */
export function readNumber(text: string): PhoneNumber | undefined {
  if (text.length > 64) return undefined;
  // `+49 (0)30 …`: the nought is for callers inside the country.
  const bare = text.trim().replace('(0)', '').replace(separators, '');
  const digits = /^(?:\+|00)?([1-9]\d{6,14})$/.exec(bare)?.[1];
  if (digits === undefined) return undefined;
  const parsed = PhoneNumber.safeParse(`+${oneSpelling(digits)}`);
  return parsed.success ? parsed.data : undefined;
}

/** `wa_id`: the digits alone. */
export const waIdOf = (number: PhoneNumber): string => number.slice(1);
