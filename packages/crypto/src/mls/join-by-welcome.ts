// A device that others added enters the group (RFC 9420 §12.4.3.1). Written out here instead of
// calling ts-mls' joinGroup, because that refuses valid trees (see validate-tree.ts); every step
// but the tree check is one of its functions.

import type { ClientState, GroupInfo, RatchetTree, Welcome } from 'ts-mls';
import {
  ratchetTreeFromExtension,
  verifyGroupInfoConfirmationTag,
  verifyGroupInfoSignature,
} from 'ts-mls/groupInfo.js';
import { makeKeyPackageRef } from 'ts-mls/keyPackage.js';
import { deriveKeySchedule } from 'ts-mls/keySchedule.js';
import { pathToRoot } from 'ts-mls/pathSecrets.js';
import {
  mergePrivateKeyPaths,
  type PrivateKeyPath,
  toPrivateKeyPath,
} from 'ts-mls/privateKeyPath.js';
import { findLeafIndex } from 'ts-mls/ratchetTree.js';
import { createSecretTree } from 'ts-mls/secretTree.js';
import { leafWidth, toLeafIndex } from 'ts-mls/treemath.js';
import { firstCommonAncestor } from 'ts-mls/updatePath.js';
import { decryptGroupInfo, decryptGroupSecrets } from 'ts-mls/welcome.js';
import { equalBytes } from '../bytes.ts';
import type { Engine, GroupContext, Joined, JoinRefusal } from '../engine.ts';
import { type CryptoProvider, suiteName } from '../provider.ts';
import type { RosterDelta } from '../roster.ts';
import { refusalOf, refused } from './authorize.ts';
import { clientConfig, isBoundTo } from './group-config.ts';
import { leafAt, memberAt, membersOf } from './members.ts';
import { decodePrivateBytes, type KeyPackagePair } from './new-key-package.ts';
import { activeSession } from './session.ts';
import { isValidTree } from './validate-tree.ts';
import { parseMessage } from './wire.ts';

export function keyPackagesOfWelcome(bytes: Uint8Array): readonly Uint8Array[] {
  const message = parseMessage(bytes);
  return message?.wireformat === 'mls_welcome'
    ? message.welcome.secrets.map((secret) => secret.newMember)
    : [];
}

export const joinByWelcome =
  (provider: CryptoProvider): Engine['joinByWelcome'] =>
  async ({ groupContext, welcome: bytes, keyPackage, authorize }): Promise<Joined> => {
    const message = parseMessage(bytes);
    if (message?.wireformat !== 'mls_welcome') return refused('malformed');
    const { welcome } = message;
    const pair = decodePrivateBytes(keyPackage);
    const reference = await makeKeyPackageRef(pair.publicPackage, provider.suite.hash);
    if (!welcome.secrets.some((secret) => equalBytes(secret.newMember, reference))) {
      return refused('not-for-this-key-package');
    }
    const state = await openWelcome(welcome, { pair, reference, groupContext, provider });
    if (typeof state === 'string') return refused(state);
    const delta = joiningDelta(state);
    const refusal = await refusalOf(delta, authorize);
    if (refusal !== undefined) return refusal;
    return { outcome: 'joined', session: activeSession(groupContext, state), delta };
  };

/** What a joiner sees: everybody who is there, and itself as the one who acts. */
export function joiningDelta(state: ClientState): RosterDelta {
  const members = membersOf(state.ratchetTree);
  const committer = members.find(({ leafIndex }) => leafIndex === state.privatePath.leafIndex)!;
  return { kind: 'joining', committer, added: members, removed: [], members };
}

type WelcomeContext = {
  readonly pair: KeyPackagePair;
  readonly reference: Uint8Array;
  readonly groupContext: GroupContext;
  readonly provider: CryptoProvider;
};

async function openWelcome(
  welcome: Welcome,
  context: WelcomeContext,
): Promise<ClientState | JoinRefusal> {
  try {
    return await stateFromWelcome(welcome, context);
  } catch {
    // HPKE and AEAD failures, and octets inside that are no group: all mean the same to the joiner.
    return 'unopenable';
  }
}

async function stateFromWelcome(
  welcome: Welcome,
  { pair, reference, groupContext, provider: { suite } }: WelcomeContext,
): Promise<ClientState | JoinRefusal> {
  const { privatePackage, publicPackage } = pair;
  const initKey = await suite.hpke.importPrivateKey(privatePackage.initPrivateKey);
  const secrets = await decryptGroupSecrets(initKey, reference, welcome, suite.hpke);
  // Our groups use no pre-shared keys.
  if (secrets === undefined || secrets.psks.length > 0) return 'unopenable';
  const noPsk = new Uint8Array(suite.kdf.size);
  const groupInfo = await decryptGroupInfo(welcome, secrets.joinerSecret, noPsk, suite);
  if (groupInfo === undefined) return 'unopenable';
  if (!isBoundTo(groupInfo.groupContext.extensions, groupContext)) return 'wrong-conversation';
  const tree = await believedTree(groupInfo, suite);
  const ownIndex = tree && findLeafIndex(tree, publicPackage.leafNode);
  if (tree === undefined || ownIndex === undefined) return 'unopenable';
  const { joinerSecret, pathSecret } = secrets;
  if (!(await verifyGroupInfoConfirmationTag(groupInfo, joinerSecret, noPsk, suite))) {
    return 'unopenable';
  }
  const [keySchedule, encryptionSecret] = await deriveKeySchedule(
    joinerSecret,
    noPsk,
    groupInfo.groupContext,
    suite.kdf,
  );
  const own: PrivateKeyPath = {
    leafIndex: ownIndex,
    privateKeys: { [ownIndex * 2]: privatePackage.hpkePrivateKey },
  };
  const shared = pathSecret && (await sharedPath({ tree, pathSecret, own, groupInfo, suite }));
  return {
    groupContext: groupInfo.groupContext,
    ratchetTree: tree,
    privatePath: shared === undefined ? own : mergePrivateKeyPaths(shared, own),
    signaturePrivateKey: privatePackage.signaturePrivateKey,
    confirmationTag: groupInfo.confirmationTag,
    unappliedProposals: {},
    keySchedule,
    secretTree: await createSecretTree(leafWidth(tree.length), encryptionSecret, suite.kdf),
    historicalReceiverData: new Map(),
    groupActiveState: { kind: 'active' },
    clientConfig,
  };
}

type Suite = CryptoProvider['suite'];

/** The tree inside a GroupInfo, if it is valid and the GroupInfo is signed by the leaf it names. */
export async function believedTree(
  groupInfo: GroupInfo,
  suite: Suite,
): Promise<RatchetTree | undefined> {
  const { cipherSuite, version } = groupInfo.groupContext;
  if (cipherSuite !== suiteName || version !== 'mls10') return undefined;
  const tree = ratchetTreeFromExtension(groupInfo);
  const signer = tree && leafAt(tree, groupInfo.signer);
  if (tree === undefined || signer === undefined) return undefined;
  const isBelieved =
    (await isValidTree(tree, groupInfo.groupContext, suite)) &&
    memberAt(tree, groupInfo.signer) !== undefined &&
    (await verifyGroupInfoSignature(groupInfo, signer.signaturePublicKey, suite.signature));
  return isBelieved ? tree : undefined;
}

/**
 * The private keys from the lowest common ancestor with the committer up to the root (RFC 9420
 * §12.4.3.1).
 */
async function sharedPath(from: {
  readonly tree: RatchetTree;
  readonly pathSecret: Uint8Array;
  readonly own: PrivateKeyPath;
  readonly groupInfo: GroupInfo;
  readonly suite: Suite;
}): Promise<PrivateKeyPath> {
  const { tree, pathSecret, own, groupInfo, suite } = from;
  const signer = toLeafIndex(groupInfo.signer);
  const ancestor = firstCommonAncestor(tree, toLeafIndex(own.leafIndex), signer);
  const secrets = await pathToRoot(tree, ancestor, pathSecret, suite.kdf);
  return toPrivateKeyPath(secrets, own.leafIndex, suite);
}
