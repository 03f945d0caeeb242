// A change of one conversation while it is being worked out, inside its lane: record, contacts and step, stored together.

import type { AccountId, ConversationId } from '@siegel/protocol/ids';
import type { ConversationNotice } from '../account-api.ts';
import { createStep, type EngineContext, put, type Step, storeStep } from '../engine-context.ts';
import { ContactRecord, ConversationRecord } from '../engine-records.ts';
import { decodeRecord, encodeRecord } from '../record.ts';

export type Draft = {
  readonly conversationId: ConversationId;
  /** undefined as long as this device knows nothing of the conversation */
  record: ConversationRecord | undefined;
  readonly contacts: Map<AccountId, ContactRecord>;
  readonly changedContacts: Set<AccountId>;
  readonly step: Step;
  readonly stored: ConversationRecord | undefined;
};

export async function readConversation(
  context: Pick<EngineContext, 'store'>,
  conversationId: ConversationId,
): Promise<ConversationRecord | undefined> {
  const bytes = await context.store.get('conversation', conversationId);
  return bytes && decodeRecord(ConversationRecord, bytes, 'conversation');
}

export async function readContact(
  context: Pick<EngineContext, 'store'>,
  accountId: AccountId,
): Promise<ContactRecord | undefined> {
  const bytes = await context.store.get('contact', accountId);
  return bytes && decodeRecord(ContactRecord, bytes, 'contact');
}

export async function openDraft(
  context: EngineContext,
  conversationId: ConversationId,
): Promise<Draft> {
  const record = await readConversation(context, conversationId);
  return {
    conversationId,
    record,
    stored: record,
    contacts: new Map(),
    changedContacts: new Set(),
    step: createStep(),
  };
}

/** A contact as this draft sees it: with what it has learnt itself. */
export async function contactOf(
  context: EngineContext,
  draft: Draft,
  accountId: AccountId,
): Promise<ContactRecord | undefined> {
  const known = draft.contacts.get(accountId) ?? (await readContact(context, accountId));
  if (known !== undefined) draft.contacts.set(accountId, known);
  return known;
}

export function changeContact(draft: Draft, contact: ContactRecord): void {
  draft.contacts.set(contact.accountId, contact);
  draft.changedContacts.add(contact.accountId);
}

/** Changes the record; what the relay says of the conversation is taken over by `adoptState`. */
export function change(draft: Draft, changes: Partial<ConversationRecord>): void {
  if (draft.record !== undefined) draft.record = { ...draft.record, ...changes };
}

export function tellNotice(
  context: EngineContext,
  draft: Draft,
  notice: Omit<ConversationNotice, 'conversationId' | 'at'>,
): void {
  const { conversationId } = draft;
  draft.step.tell.push({
    type: 'notice',
    notice: { ...notice, conversationId, at: context.environment.now() },
  });
}

/** Writes what has changed, all of it in one commit. */
export async function storeDraft(context: EngineContext, draft: Draft): Promise<void> {
  const { record, step } = draft;
  if (record !== undefined && record !== draft.stored) {
    const value = encodeRecord(ConversationRecord, record);
    put(step, 'conversation', draft.conversationId, value);
  }
  for (const accountId of draft.changedContacts) {
    const contact = draft.contacts.get(accountId);
    if (contact === undefined) continue;
    put(step, 'contact', accountId, encodeRecord(ContactRecord, contact));
  }
  await storeStep(context, step);
}
