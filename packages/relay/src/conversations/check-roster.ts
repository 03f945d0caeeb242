// What a commit may do to the roster (rules C6 and G2). Pure: tables in, the new roster or a reason out.

import type { AccountId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { DeviceAddress, RosterLeaf } from '@siegel/protocol/relay';
import {
  type Accounts,
  isSameDevice,
  type StoredConversation,
  type StoredLeaf,
} from './read-conversations.ts';

export type CommitForm = 'founding' | 'member' | 'external';

export type RosterChange = {
  readonly form: CommitForm;
  readonly committer: DeviceAddress;
  readonly added: readonly RosterLeaf[];
  readonly removed: readonly RosterLeaf[];
  readonly hasWelcome: boolean;
};

/** Words for `roster-refused`; the client's developer reads them. */
export type RosterReason =
  | 'committer-not-in-roster'
  | 'committer-not-on-list'
  | 'leaf-unknown'
  | 'leaf-named-twice'
  | 'leaf-taken'
  | 'committer-removed'
  | 'removal-not-allowed'
  | 'account-removed-in-part'
  | 'addition-not-allowed'
  | 'device-not-on-list'
  | 'device-missing'
  | 'external-adds-itself-only'
  | 'founding-removes-nobody'
  | 'welcome-missing'
  | 'too-many-leaves'
  | 'too-many-members';

export type NewRoster = {
  /** every leaf after the commit; `kept` are those of before */
  readonly kept: readonly StoredLeaf[];
  readonly added: readonly RosterLeaf[];
  readonly dropped: readonly StoredLeaf[];
  readonly joining: readonly AccountId[];
  readonly leaving: readonly AccountId[];
};

export type RosterCheck =
  | { readonly allowed: true; readonly roster: NewRoster }
  | { readonly allowed: false; readonly reason: RosterReason };

const refuse = (reason: RosterReason): RosterCheck => ({ allowed: false, reason });

const isCurrent = (accounts: Accounts, { accountId, deviceId }: DeviceAddress): boolean =>
  accounts.get(accountId)?.devices.includes(deviceId) ?? false;

const isDistinct = (leaves: readonly RosterLeaf[]): boolean =>
  new Set(leaves.map(({ leafIndex }) => leafIndex)).size === leaves.length &&
  new Set(leaves.map(({ accountId, deviceId }) => `${accountId}/${deviceId}`)).size ===
    leaves.length;

/** `accounts` holds the facts of every account named by the change, and of every member for a founding. */
export function checkRoster(
  conversation: StoredConversation,
  change: RosterChange,
  accounts: Accounts,
): RosterCheck {
  if (!isDistinct(change.added) || !isDistinct(change.removed)) return refuse('leaf-named-twice');
  if (!isCurrent(accounts, change.committer)) return refuse('committer-not-on-list');
  if (change.added.some((leaf) => !isCurrent(accounts, leaf))) return refuse('device-not-on-list');
  switch (change.form) {
    case 'founding':
      return checkFounding(conversation, change, accounts);
    case 'external':
      return checkExternal(conversation, change);
    default:
      return checkMember(conversation, change, accounts);
  }
}

function checkFounding(
  conversation: StoredConversation,
  change: RosterChange,
  accounts: Accounts,
): RosterCheck {
  const { committer, removed } = change;
  if (removed.length > 0) return refuse('founding-removes-nobody');
  const named = change.added.some((leaf) => isSameDevice(leaf, committer));
  // The founder of an MLS group is its leaf 0 (RFC 9420 §11) and adds only others.
  const added = named ? change.added : [{ leafIndex: 0, ...committer }, ...change.added];
  if (!isDistinct(added)) return refuse('leaf-taken');
  const memberIds = new Set(conversation.members.map(({ accountId }) => accountId));
  if (added.some(({ accountId }) => !memberIds.has(accountId)))
    return refuse('addition-not-allowed');
  const complete = [...memberIds].every((accountId) => {
    const reachable = accounts.get(accountId)?.reachable;
    return reachable?.every((deviceId) =>
      added.some((leaf) => isSameDevice(leaf, { accountId, deviceId })),
    );
  });
  if (!complete) return refuse('device-missing');
  const roster = { kept: [], added, dropped: conversation.leaves, joining: [], leaving: [] };
  return checkSizes(conversation, change, roster);
}

function checkExternal(conversation: StoredConversation, change: RosterChange): RosterCheck {
  const { committer, added, removed } = change;
  const [own, ...more] = added;
  if (own === undefined || more.length > 0 || !isSameDevice(own, committer)) {
    return refuse('external-adds-itself-only');
  }
  const foreign = removed.some(({ accountId }) => accountId !== committer.accountId);
  return foreign ? refuse('removal-not-allowed') : apply(conversation, change, noMembers);
}

type MemberChange = Pick<NewRoster, 'joining' | 'leaving'>;
const noMembers: MemberChange = { joining: [], leaving: [] };

function checkMember(
  conversation: StoredConversation,
  change: RosterChange,
  accounts: Accounts,
): RosterCheck {
  const { committer, added, removed } = change;
  const own = conversation.leaves.find((leaf) => isSameDevice(leaf, committer));
  if (own === undefined || own.revoked) return refuse('committer-not-in-roster');
  if (removed.some((leaf) => isSameDevice(leaf, committer))) return refuse('committer-removed');
  const member = conversation.members.find(({ accountId }) => accountId === committer.accountId);
  const isAdmin = conversation.kind === 'group' && member?.role === 'admin';
  const isOver = (leaf: RosterLeaf) =>
    !isCurrent(accounts, leaf) ||
    conversation.leaves.some((stored) => stored.revoked && isSameDevice(stored, leaf));
  const foreign = removed.filter((leaf) => leaf.accountId !== committer.accountId && !isOver(leaf));
  if (foreign.length > 0 && !isAdmin) return refuse('removal-not-allowed');
  const leaving = [...new Set(foreign.map(({ accountId }) => accountId))];
  // An admin removes accounts, not single devices of others.
  const inPart = conversation.leaves.some(
    (leaf) => leaving.includes(leaf.accountId) && !removed.some((gone) => isSameDevice(gone, leaf)),
  );
  if (inPart) return refuse('account-removed-in-part');
  const isMember = ({ accountId }: RosterLeaf) =>
    conversation.members.some((one) => one.accountId === accountId);
  const strangers = added.filter((leaf) => leaf.accountId !== committer.accountId);
  const welcome = strangers.every((leaf) => {
    const facts = accounts.get(leaf.accountId);
    return isAdmin && !isMember(leaf) && facts?.kind === 'person' && !facts.blocksOther;
  });
  if (!welcome) return refuse('addition-not-allowed');
  const joining = [...new Set(strangers.map(({ accountId }) => accountId))];
  return apply(conversation, change, { joining, leaving });
}

function apply(
  conversation: StoredConversation,
  change: RosterChange,
  members: MemberChange,
): RosterCheck {
  const { added, removed } = change;
  const isRemoved = (leaf: StoredLeaf) =>
    removed.some((gone) => gone.leafIndex === leaf.leafIndex && isSameDevice(gone, leaf));
  const dropped = conversation.leaves.filter(isRemoved);
  if (dropped.length !== removed.length) return refuse('leaf-unknown');
  const kept = conversation.leaves.filter((leaf) => !isRemoved(leaf));
  if (!isDistinct([...kept, ...added])) return refuse('leaf-taken');
  return checkSizes(conversation, change, { kept, added, dropped, ...members });
}

function checkSizes(
  conversation: StoredConversation,
  change: RosterChange,
  roster: NewRoster,
): RosterCheck {
  const others = roster.added.filter((leaf) => !isSameDevice(leaf, change.committer));
  if (others.length > 0 && !change.hasWelcome) return refuse('welcome-missing');
  const leaves = [...roster.kept, ...roster.added];
  if (leaves.length > limits.leavesPerConversation) return refuse('too-many-leaves');
  const counts = new Map<AccountId, number>();
  for (const { accountId } of leaves) counts.set(accountId, (counts.get(accountId) ?? 0) + 1);
  if (Math.max(...counts.values()) > limits.devicesPerAccount) return refuse('too-many-leaves');
  const members = conversation.members.length + roster.joining.length - roster.leaving.length;
  const tooMany = conversation.kind === 'group' && members > limits.membersPerGroup + 1;
  return tooMany ? refuse('too-many-members') : { allowed: true, roster };
}
