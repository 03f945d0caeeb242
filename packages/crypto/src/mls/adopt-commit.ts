// Somebody else's commit, after the relay took it. Everything is worked out on copies: a commit
// that is refused leaves the session as it was, and its owner founds the next generation (design
// §3).

import { type EnvelopeHeader, encodeHeader, headerIsConsistent } from '@siegel/protocol/relay';
import type {
  ClientState,
  FramedContent,
  LeafNode,
  MLSMessage,
  MlsPrivateMessage,
  MlsPublicMessage,
} from 'ts-mls';
import { emptyPskIndex, processMessage } from 'ts-mls';
import { unprotectPrivateMessage } from 'ts-mls/messageProtection.js';
import { unprotectPublicMessage } from 'ts-mls/messageProtectionPublic.js';
import { addLeafNode, findLeafIndex, removeLeafNode } from 'ts-mls/ratchetTree.js';
import { toLeafIndex } from 'ts-mls/treemath.js';
import { equalBytes } from '../bytes.ts';
import type { Adopted, AdoptRefusal, Engine } from '../engine.ts';
import type { CryptoProvider } from '../provider.ts';
import type { Member, RosterDelta } from '../roster.ts';
import { refusalOf, refused } from './authorize.ts';
import { clientConfig } from './group-config.ts';
import { compareTrees, leafAt, memberAt, memberOf, membersOf } from './members.ts';
import { activeSession, fromSession, isOfGroup, removedSession } from './session.ts';
import { isValidLeaf } from './validate-tree.ts';
import { parseMessage } from './wire.ts';

export const adoptCommit =
  (provider: CryptoProvider): Engine['adoptCommit'] =>
  async (session, { commit: bytes, header, epoch, sender, authorize }): Promise<Adopted> => {
    const mlsSession = fromSession(session);
    const { groupContext, state } = mlsSession;
    if (state === undefined) return refused('removed');
    if (!isOfGroup(header, groupContext)) return refused('wrong-conversation');
    const message = parseMessage(bytes);
    if (message === undefined || !isHandshake(message)) return refused('malformed');
    const early = refusalBeforeOpening(message, { header, epoch, state });
    if (early !== undefined) return refused(early);
    const commit = await readCommit(message, state, provider);
    if (typeof commit === 'string') return refused(commit);
    const { committer } = commit;
    if (committer.accountId !== sender.accountId || committer.deviceId !== sender.deviceId) {
      return refused('sender-mismatch');
    }
    const applied = await applyCommit({ message, commit, state, provider });
    if (typeof applied === 'string') return refused(applied);
    const { delta, next } = applied;
    const refusal = await refusalOf(delta, authorize);
    if (refusal !== undefined) return refusal;
    return next === undefined
      ? { outcome: 'adopted', session: removedSession(mlsSession), delta, selfRemoved: true }
      : {
          outcome: 'adopted',
          session: activeSession(groupContext, next),
          delta,
          selfRemoved: false,
        };
  };

type Handshake = MLSMessage & (MlsPrivateMessage | MlsPublicMessage);

const isHandshake = (message: MLSMessage): message is Handshake =>
  message.wireformat === 'mls_private_message' || message.wireformat === 'mls_public_message';

/** What can be told from the outside, before any key is used. */
function refusalBeforeOpening(
  message: Handshake,
  { header, epoch, state }: { header: EnvelopeHeader; epoch: number; state: ClientState },
): AdoptRefusal | undefined {
  const outside =
    message.wireformat === 'mls_private_message'
      ? message.privateMessage
      : message.publicMessage.content;
  if (outside.contentType !== 'commit') return 'malformed';
  if (!equalBytes(outside.groupId, state.groupContext.groupId)) return 'malformed';
  const isDescribed =
    header.kind === 'commit' &&
    headerIsConsistent(header) &&
    equalBytes(encodeHeader(header), outside.authenticatedData);
  if (!isDescribed || Number(outside.epoch) !== epoch) return 'header-mismatch';
  if (outside.epoch > state.groupContext.epoch) return 'epoch-ahead';
  return outside.epoch < state.groupContext.epoch ? 'epoch-past' : undefined;
}

type ReadCommit = {
  readonly kind: 'commit' | 'external-commit';
  /** as the certificate in force says: the old one of a member, the new one of a joiner */
  readonly committer: Member;
  readonly path: LeafNode | undefined;
  readonly removed: readonly number[];
};

/** Opens the commit and checks its signature, without applying it. */
async function readCommit(
  message: Handshake,
  state: ClientState,
  provider: CryptoProvider,
): Promise<ReadCommit | AdoptRefusal> {
  const content = await openHandshake(message, state, provider).catch(() => undefined);
  if (content === undefined || content.contentType !== 'commit') return 'unopenable';
  const { sender, commit } = content;
  const path = commit.path?.leafNode;
  const types = commit.proposals.map((item) =>
    item.proposalOrRefType === 'proposal' ? item.proposal.proposalType : 'reference',
  );
  const removed = commit.proposals.flatMap((item) =>
    item.proposalOrRefType === 'proposal' && item.proposal.proposalType === 'remove'
      ? [item.proposal.remove.removed]
      : [],
  );
  if (message.wireformat === 'mls_private_message' && sender.senderType === 'member') {
    // Everything else MLS knows (updates, pre-shared keys, extensions, re-initialisation) is not
    // used by our groups.
    if (!types.every((type) => type === 'add' || type === 'remove')) return 'proposal-refused';
    if (sender.leafIndex === state.privatePath.leafIndex) return 'own-commit';
    const committer = memberAt(state.ratchetTree, sender.leafIndex);
    return committer === undefined ? 'unopenable' : { kind: 'commit', committer, path, removed };
  }
  if (message.wireformat === 'mls_public_message' && sender.senderType === 'new_member_commit') {
    const isJoin =
      types.filter((type) => type === 'external_init').length === 1 &&
      types.every((type) => type === 'external_init' || type === 'remove');
    if (!isJoin || path === undefined) return 'proposal-refused';
    const { authService } = clientConfig;
    if (!(await authService.validateCredential(path.credential, path.signaturePublicKey))) {
      return 'certificate-invalid';
    }
    // Its place in the tree is known only after the commit was applied.
    const committer = memberOf(path, -1);
    return committer === undefined
      ? 'certificate-invalid'
      : { kind: 'external-commit', committer, path, removed };
  }
  // Member commits as PublicMessage would show the roster change's details to the relay; external
  // proposals are not used.
  return 'proposal-refused';
}

async function openHandshake(
  message: Handshake,
  state: ClientState,
  { suite }: CryptoProvider,
): Promise<FramedContent> {
  const { groupContext, keySchedule, ratchetTree, secretTree } = state;
  if (message.wireformat === 'mls_public_message') {
    const { publicMessage } = message;
    const { membershipKey } = keySchedule;
    return (
      await unprotectPublicMessage(membershipKey, groupContext, ratchetTree, publicMessage, suite)
    ).content;
  }
  const { content } = await unprotectPrivateMessage(
    keySchedule.senderDataSecret,
    message.privateMessage,
    secretTree,
    ratchetTree,
    groupContext,
    clientConfig.keyRetentionConfig,
    suite,
  );
  return content.content;
}

type Application = {
  readonly message: Handshake;
  readonly commit: ReadCommit;
  readonly state: ClientState;
  readonly provider: CryptoProvider;
};

/** Without `next` this device is removed. */
type Applied = { readonly delta: RosterDelta; readonly next: ClientState | undefined };

async function applyCommit(application: Application): Promise<Applied | AdoptRefusal> {
  const { message, commit, state, provider } = application;
  // ts-mls would go on with a leaf that an external commit has just removed, and fail on its
  // missing keys.
  if (commit.kind === 'external-commit' && commit.removed.includes(state.privatePath.leafIndex)) {
    return removedByJoiner(application);
  }
  const result = await processMessage(
    message,
    { ...state, clientConfig },
    emptyPskIndex,
    () => 'accept',
    provider.suite,
  ).catch(() => undefined);
  if (result?.kind !== 'newState') return 'unopenable';
  const { newState } = result;
  const tree = newState.ratchetTree;
  const isMember = commit.kind === 'commit';
  const index = isMember ? commit.committer.leafIndex : findLeafIndex(tree, commit.path!);
  const members = membersOf(tree);
  const committer = members.find(({ leafIndex }) => leafIndex === index);
  if (committer === undefined) return 'unopenable';
  const change = compareTrees(state.ratchetTree, tree, isMember ? index : undefined);
  const delta: RosterDelta = { kind: commit.kind, committer, ...change, members };
  if (!(await hasBelievableChanges(delta, newState, provider))) return 'certificate-invalid';
  const isRemoved = newState.groupActiveState.kind === 'removedFromGroup';
  return { delta, next: isRemoved ? undefined : newState };
}

/**
 * Every leaf that came or changed is certified and usable; the committer is still the device it
 * was.
 */
async function hasBelievableChanges(
  { committer, added, updated }: RosterDelta,
  { groupContext, ratchetTree }: ClientState,
  { suite }: CryptoProvider,
): Promise<boolean> {
  const { groupId } = groupContext;
  for (const { leafIndex } of [...added, committer]) {
    const leaf = leafAt(ratchetTree, leafIndex);
    if (leaf === undefined || !(await isValidLeaf(leaf, { leafIndex, groupId, suite })))
      return false;
  }
  if (updated === undefined) return true;
  const { before, after } = updated;
  return before.accountId === after.accountId && before.deviceId === after.deviceId;
}

/**
 * An own device came back under a new key and removed this leaf. The new epoch cannot be entered
 * from here.
 */
async function removedByJoiner(application: Application): Promise<Applied | AdoptRefusal> {
  const { commit, state, provider } = application;
  const { path, removed } = commit;
  if (path === undefined || removed.length !== 1) return 'unopenable';
  const own = state.privatePath.leafIndex;
  const without = removeLeafNode(state.ratchetTree, toLeafIndex(own));
  const [tree, nodeIndex] = addLeafNode(without, path);
  const next = { ...state, ratchetTree: tree };
  const committer = memberAt(tree, nodeIndex / 2);
  if (committer === undefined) return 'certificate-invalid';
  const change = compareTrees(state.ratchetTree, tree, undefined);
  const members = membersOf(tree);
  const delta: RosterDelta = { kind: 'external-commit', committer, ...change, members };
  if (!(await hasBelievableChanges(delta, next, provider))) return 'certificate-invalid';
  return { delta, next: undefined };
}
