// Looking people and businesses up, and blocking them. What the relay answers is checked before it becomes a contact.

import { verifyDeviceList } from '@siegel/crypto';
import { SiegelError } from '@siegel/protocol/errors';
import type { AccountId, NumericId, PhoneNumber } from '@siegel/protocol/ids';
import { block, type DeviceList, lookUpNumber, unblock } from '@siegel/protocol/relay';
import type { Contact } from './account-api.ts';
import { pinList } from './conversations/contacts.ts';
import { readContact } from './conversations/draft.ts';
import { withCertificate, withNumber } from './conversations/take-profile.ts';
import { knownConversation } from './conversations/targets.ts';
import { createStep, type EngineContext, put, type Step, storeStep } from './engine-context.ts';
import { ContactRecord } from './engine-records.ts';
import { encodeRecord } from './record.ts';

export type LookUp =
  | { readonly outcome: 'person'; readonly contact: Contact }
  | { readonly outcome: 'business'; readonly contact: Contact; readonly phoneNumberId: NumericId }
  | { readonly outcome: 'not-found' | 'forbidden' }
  | { readonly outcome: 'rate-limited'; readonly retryAfterSeconds: number };

export function toContact(record: ContactRecord): Contact {
  const { accountId, kind, accountKey, displayName, certificate, numberStatement } = record;
  const name = certificate?.displayName ?? displayName;
  return {
    accountId,
    kind,
    accountKey,
    blocked: record.blocked === true,
    ...(name === undefined ? {} : { displayName: name }),
    ...(numberStatement === undefined ? {} : { numberStatement }),
    ...(certificate === undefined ? {} : { certificate }),
  };
}

export async function lookUp(context: EngineContext, number: PhoneNumber): Promise<LookUp> {
  const answer = await context.connection.call(lookUpNumber, { number });
  if (answer.outcome !== 'person' && answer.outcome !== 'business') return answer;
  const { accountId, deviceList } = answer;
  const verified = await verifyDeviceList(deviceList);
  if (verified.outcome !== 'valid' || verified.statement.sub !== accountId) {
    throw new SiegelError('relay-refused', 'look-up: device list');
  }
  return context.lanes.enter(contactLane(accountId), async () => {
    const step = createStep();
    const pinned = await pin(context, step, {
      deviceList: verified.statement,
      kind: answer.outcome,
    });
    const contact =
      answer.outcome === 'person'
        ? await withNumber(context, pinned, answer.numberStatement)
        : await withCertificate(context, pinned, answer.certificate ?? '');
    // A number that the operator proves for another key is not this person's (design §3).
    const proven = contact.numberStatement?.number === number;
    if (answer.outcome === 'person' && !proven) {
      throw new SiegelError('relay-refused', 'look-up: number statement');
    }
    put(step, 'contact', accountId, encodeRecord(ContactRecord, contact));
    await storeStep(context, step);
    return answer.outcome === 'person'
      ? { outcome: 'person', contact: toContact(contact) }
      : { outcome: 'business', contact: toContact(contact), phoneNumberId: answer.phoneNumberId };
  });
}

const contactLane = (accountId: AccountId): string => `contact/${accountId}`;

async function pin(
  context: EngineContext,
  step: Step,
  found: { readonly deviceList: DeviceList; readonly kind: 'person' | 'business' },
): Promise<ContactRecord> {
  const { sub: accountId } = found.deviceList;
  const known = await readContact(context, accountId);
  const { learnt, contact } = pinList(known, found.deviceList, found.kind);
  const conversationId = await knownConversation(context, { direct: accountId });
  if (learnt === 'key-changed' && conversationId !== undefined) {
    const at = context.environment.now();
    step.tell.push({
      type: 'notice',
      notice: { conversationId, notice: 'account-key-changed', accountId, at },
    });
  }
  return contact;
}

export async function setBlocked(
  context: EngineContext,
  accountId: AccountId,
  blocked: boolean,
): Promise<void> {
  const endpoint = blocked ? block : unblock;
  const answer = await context.connection.call(endpoint, { accountId });
  if (answer.outcome === 'rate-limited' || answer.outcome === 'quota-reached') {
    throw new SiegelError('too-many-requests', 'block');
  }
  await context.lanes.enter(contactLane(accountId), async () => {
    const known = await readContact(context, accountId);
    if (known === undefined) return;
    const step = createStep();
    put(step, 'contact', accountId, encodeRecord(ContactRecord, { ...known, blocked }));
    await storeStep(context, step);
  });
}
