// Who may be a leaf, as this device knows it: pinned account keys and the newest device lists they signed (design §3).

import {
  type Authorize,
  type CommitContext,
  type CommitDecision,
  decideCommit,
  type KnownAccount,
  type RosterDelta,
  verifyDeviceList,
} from '@siegel/crypto';
import { SiegelError } from '@siegel/protocol/errors';
import type { AccountId } from '@siegel/protocol/ids';
import { type ConversationState, type DeviceList, getConversation } from '@siegel/protocol/relay';
import type { EngineContext } from '../engine-context.ts';
import { engineLimits } from '../engine-limits.ts';
import type { ContactRecord, ConversationRecord } from '../engine-records.ts';
import { adoptState, disputeStrangers } from './adopt-state.ts';
import { changeContact, contactOf, type Draft, tellNotice } from './draft.ts';
import { learnMissingCertificate } from './learn-certificate.ts';

/** How a signed list was taken: `refused` when nobody signed it, or somebody else than it says. */
export type LearntList = 'learnt' | 'known' | 'key-changed' | 'refused';

/**
 * Takes over a device list for one of the expected accounts. The first key seen is pinned; another key later is told in the
 * chat and pinned anew, but never for the own account, whose key this device holds itself.
 */
export async function learnDeviceList(
  context: EngineContext,
  draft: Draft,
  signed: string,
  expected: ReadonlyMap<AccountId, 'person' | 'business'>,
): Promise<LearntList> {
  const verified = await verifyDeviceList(signed);
  if (verified.outcome !== 'valid') return 'refused';
  const { statement } = verified;
  const kind = expected.get(statement.sub);
  const { accountId, accountKey } = context.identity;
  const isForged = statement.sub === accountId && statement.key !== accountKey;
  if (kind === undefined || isForged) return 'refused';
  const known = await contactOf(context, draft, statement.sub);
  const pinned = pinList(known, statement, kind);
  if (pinned.learnt !== 'known') changeContact(draft, pinned.contact);
  if (pinned.learnt === 'key-changed') {
    tellNotice(context, draft, { notice: 'account-key-changed', accountId: statement.sub });
  }
  return pinned.learnt;
}

/** What is known of an account once this list, whose signature has been checked, is believed. */
export function pinList(
  known: ContactRecord | undefined,
  deviceList: DeviceList,
  kind: ContactRecord['kind'],
): { readonly learnt: Exclude<LearntList, 'refused'>; readonly contact: ContactRecord } {
  const { sub: accountId, key: accountKey, version } = deviceList;
  if (known === undefined) {
    return { learnt: 'learnt', contact: { v: 1, accountId, kind, accountKey, deviceList } };
  }
  if (known.accountKey === accountKey) {
    // An older list would bring a removed device back.
    return version > known.deviceList.version
      ? { learnt: 'learnt', contact: { ...known, deviceList } }
      : { learnt: 'known', contact: known };
  }
  const former = known.formerKeys ?? [];
  const seen = former.find((each) => each.accountKey === accountKey);
  // Going back to an earlier key must not bring an older list of it back either.
  if (seen !== undefined && version < seen.version) return { learnt: 'known', contact: known };
  // What was proven of the old key is not known of the new one.
  const { certificate: _, numberStatement: __, ...kept } = known;
  const formerKeys = [
    ...former.filter((each) => each !== seen),
    { accountKey: known.accountKey, version: known.deviceList.version },
  ].slice(-engineLimits.formerKeysMax);
  return { learnt: 'key-changed', contact: { ...kept, accountKey, deviceList, formerKeys } };
}

export type RelayView = {
  readonly state: ConversationState;
  readonly groupInfo: string | undefined;
};

/**
 * State and device lists from the relay, taken over into the draft; undefined when the account is no member, or when at first
 * sight the members are none that such a conversation can have.
 */
export async function askRelay(
  context: EngineContext,
  draft: Draft,
): Promise<RelayView | undefined> {
  const { conversationId } = draft;
  const answer = await context.connection.call(getConversation, { conversationId });
  switch (answer.outcome) {
    case 'not-member':
      return undefined;
    case 'rate-limited':
      throw new SiegelError('too-many-requests', 'getConversation');
    case 'conversation': {
      const record = await adoptState(context, draft, { state: answer.state });
      if (record === undefined) return undefined;
      const expected = kindsOf(record);
      for (const signed of answer.deviceLists) {
        await learnDeviceList(context, draft, signed, expected);
      }
      await learnMissingCertificate(context, draft);
      return { state: answer.state, groupInfo: answer.groupInfo };
    }
  }
}

export const kindsOf = (
  record: ConversationRecord,
): ReadonlyMap<AccountId, 'person' | 'business'> =>
  new Map(record.members.map(({ accountId, kind }) => [accountId, kind]));

/** What the commit policy is asked with: members of the conversation whose key and list are known. */
export async function commitContext(context: EngineContext, draft: Draft): Promise<CommitContext> {
  const record = draft.record;
  if (record === undefined) return { kind: 'direct', accounts: [] };
  const accounts: KnownAccount[] = [];
  for (const { accountId, role } of record.members) {
    const contact = await contactOf(context, draft, accountId);
    if (contact === undefined) continue;
    const { accountKey, deviceList } = contact;
    accounts.push({ accountId, accountKey, deviceList, role });
  }
  return { kind: record.kind, accounts };
}

export type Authorizer = {
  readonly authorize: Authorize;
  /** A failure while asking, for instance an unreachable relay: then a refusal says nothing about the commit. */
  rethrow(): void;
};

/** Decides with what is known; before it says no, it asks the relay once for newer lists, never for other members. */
export function createAuthorizer(context: EngineContext, draft: Draft): Authorizer {
  let failure: { readonly error: unknown } | undefined;
  let asked = false;
  const decide = async (delta: RosterDelta) => {
    const known = await commitContext(context, draft);
    const isWhole = known.accounts.length === draft.record?.members.length;
    return { decision: decideCommit(delta, known), isWhole };
  };
  return {
    async authorize(delta) {
      const { decision: first, isWhole } = await decide(delta);
      if (first.outcome === 'refused' && first.policy === 'account-unknown') {
        disputeStrangers(context, draft, accountsOf(delta));
      }
      if (first.outcome === 'allowed' || asked || !couldBeNews(first, isWhole)) return first;
      asked = true;
      try {
        await askRelay(context, draft);
      } catch (error) {
        failure = { error };
        return first;
      }
      return (await decide(delta)).decision;
    },
    rethrow() {
      if (failure !== undefined) throw failure.error;
    },
  };
}

const accountsOf = ({ committer, added, members }: RosterDelta): AccountId[] =>
  [committer, ...added, ...members].map(({ accountId }) => accountId);

/** Refusals that a newer device list may lift; the others are the commit's own fault. */
function couldBeNews(decision: CommitDecision, isWhole: boolean): boolean {
  if (decision.outcome === 'allowed') return false;
  switch (decision.policy) {
    case 'account-unknown':
      // Only as long as the list of a member is missing: who is a member is not the relay's to say.
      return !isWhole;
    case 'account-key-changed':
    case 'device-not-listed':
    case 'foreign-leaf-removed':
    case 'foreign-leaf-added':
      return true;
    case 'adds-more-than-itself':
    case 'identity-changed':
      return false;
  }
}
