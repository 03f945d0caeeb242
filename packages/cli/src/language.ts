// In which language the terminal speaks: German where the system does, English everywhere else.

export type Language = 'de' | 'en';

/** POSIX order: LC_ALL wins over LC_MESSAGES over LANG. */
export function languageOf(environment: Readonly<Record<string, string | undefined>>): Language {
  const locale = ['LC_ALL', 'LC_MESSAGES', 'LANG'].map((name) => environment[name]).find(Boolean);
  return locale?.toLowerCase().startsWith('de') === true ? 'de' : 'en';
}
