// Guesses whether somebody writes German or English, from a few words that only one of them has.

export type Language = 'de' | 'en';

const marks: Record<Language, ReadonlySet<string>> = {
  de: new Set(
    (
      'ich ist bin sind der die das ein eine einen mein meine meinen wann wo wie was welche ' +
      'und oder nicht hallo guten tag moin servus bitte danke flug paket bestellung sendung ' +
      'öffnungszeiten geöffnet offen hilfe mensch mitarbeiter konto karte für von mit ' +
      'zu zurück sprechen möchte will kann könnt haben habt ihr sie sperren ' +
      'termin filiale rückgabe heute'
    ).split(' '),
  ),
  en: new Set(
    (
      'i is am are the a an my when where how what which and or not hello hi hey good morning ' +
      'please thanks thank you flight parcel package order delivery opening hours open help ' +
      'human person agent someone account card for from with to back talk speak want can do ' +
      'does have your block lost appointment branch return refund today status track'
    ).split(' '),
  ),
};

const germanPrefixes = ['49', '43', '41', '423'];
/** Nobody needs more of a text than this to tell its language. */
const charsRead = 500;

/** Undefined when the words do not tell, as in `NW204`. */
export function detectLanguage(text: string): Language | undefined {
  const words =
    text
      .slice(0, charsRead)
      .toLowerCase()
      .match(/\p{L}+/gu) ?? [];
  const umlauts = /[äöüß]/i.test(text) ? 1 : 0;
  const german = words.filter((word) => marks.de.has(word)).length + umlauts;
  const english = words.filter((word) => marks.en.has(word)).length;
  if (german === english) return undefined;
  return german > english ? 'de' : 'en';
}

/** The language to begin with, by the country of the number; English for everybody else. */
export const languageOfNumber = (waId: string | undefined): Language =>
  germanPrefixes.some((prefix) => waId?.startsWith(prefix) === true) ? 'de' : 'en';
