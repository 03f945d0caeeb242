// A profile is what somebody says of itself; what it proves beside it, a number or a certificate, is checked here.

import { verifyBusinessCertificate, verifyNumberStatement } from '@siegel/crypto';
import type { Body } from '@siegel/protocol/content';
import type { DeliveredMessage } from '@siegel/protocol/relay';
import { nowInSeconds } from '../device-context.ts';
import type { EngineContext } from '../engine-context.ts';
import type { ContactRecord } from '../engine-records.ts';
import { changeContact, contactOf, type Draft } from './draft.ts';

export async function takeProfile(
  context: EngineContext,
  draft: Draft,
  { item, profile }: { item: DeliveredMessage; profile: Extract<Body, { type: 'profile' }> },
): Promise<void> {
  const contact = await contactOf(context, draft, item.sender.accountId);
  if (contact === undefined || contact.accountId === context.identity.accountId) return;
  let next: ContactRecord = contact;
  if (profile.displayName !== undefined) next = { ...next, displayName: profile.displayName };
  if (profile.numberStatement !== undefined) {
    next = await withNumber(context, next, profile.numberStatement);
  }
  if (profile.certificate !== undefined) {
    next = await withCertificate(context, next, profile.certificate);
  }
  changeContact(draft, next);
}

const trustOf = (context: EngineContext) => ({
  issuerKeys: context.operatorKeys,
  now: nowInSeconds(context),
});

/** Counts only for the pinned key: a number proven for another key says nothing of this contact. */
export async function withNumber(
  context: EngineContext,
  contact: ContactRecord,
  signed: string,
): Promise<ContactRecord> {
  const verified = await verifyNumberStatement(signed, trustOf(context));
  if (verified.outcome !== 'valid') return contact;
  const { sub, key } = verified.statement;
  return sub === contact.accountId && key === contact.accountKey
    ? { ...contact, numberStatement: verified.statement }
    : contact;
}

export async function withCertificate(
  context: EngineContext,
  contact: ContactRecord,
  signed: string,
): Promise<ContactRecord> {
  const verified = await verifyBusinessCertificate(signed, trustOf(context));
  if (verified.outcome !== 'valid') return contact;
  const { sub, cnf } = verified.statement;
  return sub === contact.accountId && cnf.jwk.x === contact.accountKey
    ? { ...contact, certificate: verified.statement }
    : contact;
}
