// Who may change a roster: the rules of design §3, "Delivery service", as pure functions over data.
// The engine asks before it adopts a commit, makes one, or enters a group; the relay repeats what
// of it it can see.

import type { AccountId } from '@siegel/protocol/ids';
import type { ConversationKind, DeviceList } from '@siegel/protocol/relay';
import type { Member, RosterDelta } from './roster.ts';

/** What the caller knows of one account: only things it has verified itself. */
export type KnownAccount = {
  readonly accountId: AccountId;
  /** the pinned public account key, base64url */
  readonly accountKey: string;
  /** the newest device list signed by that key */
  readonly deviceList: DeviceList;
  /** `leaving`: the account itself said so in a sealed notice, and anybody may remove its leaves */
  readonly role: 'member' | 'admin' | 'leaving';
};

export type CommitContext = {
  readonly kind: ConversationKind;
  /**
   * Whoever is not here may not be a leaf. The caller fixes the accounts itself; they are never
   * what a relay says at the moment.
   */
  readonly accounts: readonly KnownAccount[];
};

export type PolicyRefusal =
  | 'account-unknown'
  /** the leaf's account key is not the pinned one: a visible line, never silent */
  | 'account-key-changed'
  | 'device-not-listed'
  | 'foreign-leaf-added'
  | 'foreign-leaf-removed'
  | 'adds-more-than-itself'
  | 'identity-changed';

export type CommitDecision =
  | { readonly outcome: 'allowed' }
  | { readonly outcome: 'refused'; readonly policy: PolicyRefusal };

const allowed: CommitDecision = { outcome: 'allowed' };
const refuse = (policy: PolicyRefusal): CommitDecision => ({ outcome: 'refused', policy });

export function decideCommit(delta: RosterDelta, context: CommitContext): CommitDecision {
  for (const leaf of [delta.committer, ...delta.added]) {
    const trouble = troubleWithLeaf(leaf, context);
    // A joiner may meet a revoked leaf that nobody removed yet: it enters, and removes it before it
    // sends.
    const isTolerated =
      trouble === 'device-not-listed' && delta.kind === 'joining' && leaf !== delta.committer;
    if (trouble !== undefined && !isTolerated) return refuse(trouble);
  }
  // Whoever made the commit: no leaf of a stranger stays in a group that is adopted.
  const isStranger = (leaf: Member) => knownAccount(leaf.accountId, context) === undefined;
  if (exceedsKind(context) || delta.members.some(isStranger)) return refuse('account-unknown');
  // Whoever founds chooses from the conversation's accounts; whoever joins finds what others agreed
  // on.
  if (delta.kind === 'founding' || delta.kind === 'joining') return allowed;
  return delta.kind === 'external-commit'
    ? decideExternal(delta, context)
    : decideMember(delta, context);
}

/** More accounts than a conversation of its kind can have are a fault of the caller's knowledge. */
const accountsMax: Partial<Record<ConversationKind, number>> = { own: 1, direct: 2, business: 2 };

function exceedsKind({ kind, accounts }: CommitContext): boolean {
  const max = accountsMax[kind];
  return max !== undefined && accounts.length > max;
}

/**
 * An external commit adds exactly its sender and removes nothing but leaves of the same account.
 * Into a group only an account enters that sits there already.
 */
function decideExternal(delta: RosterDelta, { kind }: CommitContext): CommitDecision {
  const [joiner, ...others] = delta.added;
  if (joiner?.leafIndex !== delta.committer.leafIndex || others.length > 0) {
    return refuse('adds-more-than-itself');
  }
  const { accountId } = delta.committer;
  const stayed = delta.members.filter(({ leafIndex }) => leafIndex !== joiner.leafIndex);
  const sits = [...stayed, ...delta.removed].some((leaf) => leaf.accountId === accountId);
  if (kind === 'group' && !sits) return refuse('account-unknown');
  return delta.removed.every((leaf) => leaf.accountId === delta.committer.accountId)
    ? allowed
    : refuse('foreign-leaf-removed');
}

function decideMember(delta: RosterDelta, context: CommitContext): CommitDecision {
  const { committer, updated } = delta;
  if (updated !== undefined && !sameDevice(updated.before, updated.after)) {
    return refuse('identity-changed');
  }
  const changesOthers =
    context.kind === 'group' && knownAccount(committer.accountId, context)?.role === 'admin';
  if (changesOthers) return allowed;
  if (delta.added.some((leaf) => leaf.accountId !== committer.accountId)) {
    return refuse('foreign-leaf-added');
  }
  return delta.removed.every((leaf) => mayRemove(leaf, committer, context))
    ? allowed
    : refuse('foreign-leaf-removed');
}

function mayRemove(leaf: Member, committer: Member, context: CommitContext): boolean {
  if (leaf.accountId === committer.accountId) return true;
  const account = knownAccount(leaf.accountId, context);
  return account !== undefined && (account.role === 'leaving' || !isListed(leaf, account));
}

/** Why a leaf may not be in this conversation, or undefined. */
export function troubleWithLeaf(leaf: Member, context: CommitContext): PolicyRefusal | undefined {
  const account = knownAccount(leaf.accountId, context);
  if (account === undefined) return 'account-unknown';
  if (account.accountKey !== leaf.accountKey) return 'account-key-changed';
  return isListed(leaf, account) ? undefined : 'device-not-listed';
}

/** Leaves that a sender must remove before it sends anything else (design §3). */
export const leavesToRemove = (
  members: readonly Member[],
  context: CommitContext,
): readonly Member[] =>
  members.filter((leaf) => {
    const account = knownAccount(leaf.accountId, context);
    return account !== undefined && (account.role === 'leaving' || !isListed(leaf, account));
  });

const knownAccount = (id: AccountId, context: CommitContext): KnownAccount | undefined =>
  context.accounts.find((account) => account.accountId === id);

const isListed = (leaf: Member, account: KnownAccount): boolean =>
  account.deviceList.sub === leaf.accountId &&
  account.deviceList.key === account.accountKey &&
  account.deviceList.devices.some(
    (device) => device.id === leaf.deviceId && device.leaf === leaf.leafKey,
  );

const sameDevice = (a: Member, b: Member): boolean =>
  a.accountId === b.accountId && a.deviceId === b.deviceId && a.accountKey === b.accountKey;
