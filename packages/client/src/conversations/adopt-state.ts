// What the relay says of a conversation, taken over once: who its members are is fixed at first sight by what this device
// asked for and what such a conversation can have, and never taken from the relay again (docs/decisions/0007).

import type { AccountId, NumericId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { ConversationState, OpenWith } from '@siegel/protocol/relay';
import type { EngineContext } from '../engine-context.ts';
import { ContactRecord, type ConversationRecord } from '../engine-records.ts';
import { decodeRecord } from '../record.ts';
import { type Draft, tellNotice } from './draft.ts';

type Members = ConversationRecord['members'];

export type Said = {
  readonly state: ConversationState;
  /** what this device asked for, when it opened the conversation itself */
  readonly asked?: OpenWith;
};

/** The record as it now stands; undefined when the relay's answer is none that may be believed. */
export async function adoptState(
  context: EngineContext,
  draft: Draft,
  said: Said,
): Promise<ConversationRecord | undefined> {
  const { state } = said;
  const members = draft.record?.members ?? (await firstMembers(context, said));
  const isWrong =
    members === undefined || !isWhatWasAsked(context, draft.record ?? { ...state, members }, said);
  if (isWrong) {
    tellNotice(context, draft, { notice: 'roster-mismatch' });
    return undefined;
  }
  draft.record =
    draft.record === undefined ? freshRecord(state, members) : { ...draft.record, left: false };
  const named = state.members.map(({ accountId }) => accountId);
  disputeStrangers(context, draft, named);
  return draft.record;
}

const freshRecord = (state: ConversationState, members: Members): ConversationRecord => ({
  v: 1,
  conversationId: state.conversationId,
  kind: state.kind,
  ...(state.phoneNumberId === undefined ? {} : { phoneNumberId: state.phoneNumberId }),
  members,
  generation: state.generation,
  joined: false,
  left: false,
  committed: false,
  answered: false,
  sentSinceCommit: 0,
  lastCommitAt: 0,
  unread: 0,
  lastOrder: '',
});

/** Says once in the chat that the relay named somebody who is no member; nothing else comes of it. */
export function disputeStrangers(
  context: EngineContext,
  draft: Draft,
  named: readonly AccountId[],
): void {
  const { record } = draft;
  if (record === undefined || record.disputed === true) return;
  const stranger = named.find(
    (accountId) => !record.members.some((member) => member.accountId === accountId),
  );
  if (stranger === undefined) return;
  draft.record = { ...record, disputed: true };
  tellNotice(context, draft, { notice: 'roster-mismatch', accountId: stranger });
}

/** An answer to one question must not lead to the conversation of another. */
function isWhatWasAsked(
  { identity }: EngineContext,
  { kind, phoneNumberId, members }: Pick<ConversationRecord, 'kind' | 'phoneNumberId' | 'members'>,
  { asked }: Said,
): boolean {
  if (asked === undefined) return true;
  const isOther = (accountId: AccountId) =>
    accountId !== identity.accountId && members.some((member) => member.accountId === accountId);
  switch (asked.kind) {
    case 'own':
      return kind === 'own';
    case 'direct':
      return kind === 'direct' && isOther(asked.accountId);
    case 'business':
      return kind === 'business' && phoneNumberId === asked.phoneNumberId;
    case 'person':
      return (
        kind === 'business' &&
        phoneNumberId === asked.from &&
        (!('accountId' in asked.to) || isOther(asked.to.accountId))
      );
    case 'group':
      return kind === 'group';
  }
}

/** Who may ever be in this conversation: the account itself and, but for groups, at most one other of the right kind. */
async function firstMembers(context: EngineContext, said: Said): Promise<Members | undefined> {
  const { state, asked } = said;
  const { accountId, kind } = context.identity;
  const self = { accountId, kind, role: 'member' as const };
  switch (state.kind) {
    case 'own':
      return [self];
    case 'group':
      return groupMembers(accountId, said);
    case 'direct': {
      const other = otherOf(context, state, {
        kind: 'person',
        ...(asked?.kind === 'direct' ? { accountId: asked.accountId } : {}),
      });
      return other && kind === 'person' ? [self, other] : undefined;
    }
    case 'business': {
      const isFirm = kind === 'business';
      const pinned = isFirm ? askedPerson(asked) : await certifiedFor(context, state.phoneNumberId);
      const other = otherOf(context, state, {
        kind: isFirm ? 'person' : 'business',
        ...(pinned === undefined ? {} : { accountId: pinned }),
      });
      return other && [self, other];
    }
  }
}

const askedPerson = (asked: OpenWith | undefined): AccountId | undefined =>
  asked?.kind === 'person' && 'accountId' in asked.to ? asked.to.accountId : undefined;

/** The one other account, named by what was asked or pinned; else the only one there is, or the only one with a leaf. */
function otherOf(
  { identity }: EngineContext,
  state: ConversationState,
  wanted: { readonly kind: 'person' | 'business'; readonly accountId?: AccountId },
): Members[number] | undefined {
  const others = state.members.filter(
    (member) =>
      member.accountId !== identity.accountId &&
      member.kind === wanted.kind &&
      (wanted.accountId === undefined || member.accountId === wanted.accountId),
  );
  const seated = others.filter((member) => hasLeaf(state, member.accountId));
  const [other, ...more] = others.length > 1 ? seated : others;
  if (other === undefined || more.length > 0) return undefined;
  return { accountId: other.accountId, kind: other.kind, role: 'member' };
}

const hasLeaf = (state: ConversationState, accountId: AccountId): boolean =>
  state.roster.some((leaf) => leaf.accountId === accountId);

/** Of a group: who has a leaf, before its founding whom the founder named; one admin, and nobody becomes one later. */
function groupMembers(self: AccountId, { state, asked }: Said): Members {
  const named = asked?.kind === 'group' ? asked.accounts : undefined;
  const admin = state.members.find(({ role }) => role === 'admin')?.accountId;
  const isIn = (accountId: AccountId) => {
    if (accountId === self) return true;
    return state.founded ? hasLeaf(state, accountId) : named?.includes(accountId) === true;
  };
  return state.members
    .filter(({ accountId }) => isIn(accountId))
    .map(({ accountId, kind }) => ({
      accountId,
      kind,
      role: accountId === admin ? ('admin' as const) : ('member' as const),
    }));
}

/** The firm a certificate was proven of for this number, by looking it up or in an earlier chat. */
async function certifiedFor(
  { store }: EngineContext,
  phoneNumberId: NumericId | undefined,
): Promise<AccountId | undefined> {
  let after: string | undefined;
  for (;;) {
    const entries = await store.list('contact', {
      prefix: '',
      limit: limits.pageSizeMax,
      ...(after === undefined ? {} : { after }),
    });
    for (const { value } of entries) {
      const { accountId, certificate } = decodeRecord(ContactRecord, value, 'contact');
      if (certificate !== undefined && certificate.phoneNumberId === phoneNumberId) {
        return accountId;
      }
    }
    if (entries.length < limits.pageSizeMax) return undefined;
    after = entries.at(-1)?.key;
  }
}
