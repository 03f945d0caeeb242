// What the operator says of the firm in a business conversation: asked for by the person's device, and checked against the
// key pinned here (design §5).

import { verifyBusinessCertificate } from '@siegel/crypto';
import { SiegelError } from '@siegel/protocol/errors';
import type { NumericId } from '@siegel/protocol/ids';
import { getBusinessCertificate } from '@siegel/protocol/relay';
import { nowInSeconds } from '../device-context.ts';
import type { EngineContext } from '../engine-context.ts';
import type { ContactRecord } from '../engine-records.ts';
import { changeContact, contactOf, type Draft } from './draft.ts';

/** `refused`: there is one, but not for this key and number, or nobody we believe has signed it. */
export type CertificateLearnt = 'certified' | 'expired' | 'missing' | 'refused' | 'no-business';

export async function learnCertificate(
  context: EngineContext,
  draft: Draft,
): Promise<CertificateLearnt> {
  const business = await businessOf(context, draft);
  if (business === undefined) return 'no-business';
  const { contact, phoneNumberId } = business;
  const signed = await certificateOf(context, phoneNumberId);
  if (signed === undefined) return 'missing';
  const verified = await verifyBusinessCertificate(signed, {
    issuerKeys: context.operatorKeys,
    now: nowInSeconds(context),
  });
  if (verified.outcome === 'expired') return 'expired';
  if (verified.outcome !== 'valid') return 'refused';
  const { statement } = verified;
  const isOfThisFirm =
    statement.sub === contact.accountId &&
    statement.cnf.jwk.x === contact.accountKey &&
    statement.phoneNumberId === phoneNumberId;
  if (!isOfThisFirm) return 'refused';
  changeContact(draft, { ...contact, certificate: statement });
  return 'certified';
}

/** For a firm that wrote first: asks only while no living certificate is known. */
export async function learnMissingCertificate(context: EngineContext, draft: Draft): Promise<void> {
  const business = await businessOf(context, draft);
  if (business === undefined) return;
  const { certificate } = business.contact;
  const isLiving = certificate !== undefined && certificate.exp > nowInSeconds(context);
  if (!isLiving) await learnCertificate(context, draft);
}

type KnownBusiness = { readonly contact: ContactRecord; readonly phoneNumberId: NumericId };

/** Undefined on the firm's own devices too: they know who they are. */
async function businessOf(
  context: EngineContext,
  draft: Draft,
): Promise<KnownBusiness | undefined> {
  const { kind, phoneNumberId, members = [] } = draft.record ?? {};
  if (kind !== 'business' || phoneNumberId === undefined) return undefined;
  if (context.identity.kind === 'business') return undefined;
  const member = members.find((each) => each.kind === 'business');
  const contact = member && (await contactOf(context, draft, member.accountId));
  return contact && { contact, phoneNumberId };
}

async function certificateOf(
  context: EngineContext,
  phoneNumberId: NumericId,
): Promise<string | undefined> {
  const answer = await context.connection.call(getBusinessCertificate, { phoneNumberId });
  switch (answer.outcome) {
    case 'certificate':
      return answer.certificate;
    case 'not-found':
      return undefined;
    case 'rate-limited':
      throw new SiegelError('too-many-requests', 'getBusinessCertificate');
  }
}
