// The operator's certificate of a firm that wrote first: fetched by its number and checked on this
// device against the pinned keys.
import { type Contact, checkBusinessCertificate, operatorOf, type Store } from '@siegel/client';
import { connectToRelay, nodeEnvironment } from '@siegel/client/node';
import type { NumericId } from '@siegel/protocol/ids';
import { type BusinessCertificate, getBusinessCertificate } from '@siegel/protocol/relay';

export type CertificateQuestion = {
  readonly relay: string;
  readonly token: string;
  readonly store: Store<undefined>;
  readonly contact: Contact;
  readonly phoneNumberId: NumericId;
};

/** Undefined when there is none, or none that holds for the key this device has pinned. */
export async function fetchCertificate(
  question: CertificateQuestion,
): Promise<BusinessCertificate | undefined> {
  const { relay, token, store, contact, phoneNumberId } = question;
  if (contact.certificate?.phoneNumberId === phoneNumberId) return contact.certificate;
  if (contact.accountKey === undefined) return undefined;
  const connection = connectToRelay({ url: relay, token });
  try {
    const operator = await operatorOf({ connection, store, environment: nodeEnvironment });
    const answer = await connection.call(getBusinessCertificate, { phoneNumberId });
    if (operator === undefined || answer.outcome !== 'certificate') return undefined;
    const checked = await checkBusinessCertificate(operator, answer.certificate, {
      accountId: contact.accountId,
      accountKey: contact.accountKey,
      phoneNumberId,
      nowSeconds: Math.floor(nodeEnvironment.now() / 1000),
    });
    return checked.outcome === 'valid' ? checked.statement : undefined;
  } finally {
    await connection.close();
  }
}
