// Authentication templates have no text of their own: the platform's wording in the languages Siegel speaks.

type Preset = {
  readonly body: string;
  readonly recommendation: string;
  readonly expiry: (minutes: number) => string;
  readonly button: string;
};

const english: Preset = {
  body: '*{{1}}* is your verification code.',
  recommendation: ' For your security, do not share this code.',
  expiry: (minutes) => `This code expires in ${minutes} minutes.`,
  button: 'Copy code',
};

const german: Preset = {
  body: '*{{1}}* ist dein Bestätigungscode.',
  recommendation: ' Gib den Code zu deiner Sicherheit nicht weiter.',
  expiry: (minutes) => `Dieser Code läuft in ${minutes} Minuten ab.`,
  button: 'Code kopieren',
};

export const presetTexts = (language: string): Preset =>
  language.startsWith('de') ? german : english;
