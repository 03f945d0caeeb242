// Who the other side is, in words: what its certificate says, checked on this device, and who holds
// the keys there.
import { type Contact, safeLine } from '@siegel/client';
import type { PersonTexts } from './person-texts.ts';

export const nameOf = (contact: Contact | undefined, texts: PersonTexts): string =>
  safeLine(
    contact?.certificate?.displayName ??
      contact?.displayName ??
      contact?.numberStatement?.number ??
      texts.person,
  );

/** Nothing for persons: only firms are certified. `now` in milliseconds. */
export function describeContact(
  contact: Contact | undefined,
  texts: PersonTexts,
  now: number,
): readonly string[] {
  if (contact?.kind !== 'business') return [];
  const { certificate } = contact;
  if (certificate === undefined) return [texts.certificate.none];
  if (certificate.exp * 1000 <= now) return [texts.certificate.expired];
  const { legalName, country, level, keysHostedBy } = certificate;
  return [
    texts.certificate.issued(safeLine(legalName), safeLine(country)),
    texts.certificate.levels[level],
    // A badge is drawn only where the log was checked (design §5).
    ...(level === 'badge' ? [texts.certificate.noLog] : []),
    texts.keysWith(nameOf(contact, texts), safeLine(keysHostedBy)),
  ];
}
