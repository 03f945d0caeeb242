// A device enters by itself, everybody else being away (RFC 9420 §12.4.3.2). Written out here for
// the same reason as join-by-welcome.ts, and because ts-mls can replace only a leaf with the very
// same signature key.

import type { EnvelopeHeader } from '@siegel/protocol/relay';
import { encodeHeader } from '@siegel/protocol/relay';
import type {
  ClientState,
  GroupInfo,
  GroupContext as MlsGroupContext,
  PrivateKeyPath,
  Proposal,
  ProposalOrRef,
  RatchetTree,
  UpdatePath,
} from 'ts-mls';
import { exportSecret, nextEpochContext } from 'ts-mls/clientState.js';
import { createConfirmationTag, createContentCommitSignature } from 'ts-mls/framedContent.js';
import { initializeEpoch } from 'ts-mls/keySchedule.js';
import { getCommitSecret, pathToPathSecrets } from 'ts-mls/pathSecrets.js';
import { toPrivateKeyPath, updateLeafKey } from 'ts-mls/privateKeyPath.js';
import { addLeafNode, removeLeafNode } from 'ts-mls/ratchetTree.js';
import { createSecretTree } from 'ts-mls/secretTree.js';
import { treeHashRoot } from 'ts-mls/treeHash.js';
import { leafWidth, nodeToLeafIndex, toLeafIndex, toNodeIndex } from 'ts-mls/treemath.js';
import { createUpdatePath } from 'ts-mls/updatePath.js';
import type { Engine, JoinedExternally } from '../engine.ts';
import { unsafeReadLeafCertificate } from '../leaf-certificate.ts';
import type { CryptoProvider } from '../provider.ts';
import { refusalOf, refused } from './authorize.ts';
import { clientConfig, isBoundTo } from './group-config.ts';
import { publishGroupInfo } from './group-info.ts';
import { believedTree, joiningDelta } from './join-by-welcome.ts';
import { compareTrees, membersOf } from './members.ts';
import { generateKeyPackage, type KeyPackagePair } from './new-key-package.ts';
import { activeSession } from './session.ts';
import { parseMessage, writeMessage } from './wire.ts';

export const joinByExternalCommit =
  (provider: CryptoProvider): Engine['joinByExternalCommit'] =>
  async (request): Promise<JoinedExternally> => {
    const { groupContext, identity, now } = request;
    const message = parseMessage(request.groupInfo);
    if (message?.wireformat !== 'mls_group_info') return refused('malformed');
    const { groupInfo } = message;
    if (!isBoundTo(groupInfo.groupContext.extensions, groupContext)) {
      return refused('wrong-conversation');
    }
    const own = unsafeReadLeafCertificate(identity.certificate);
    if (own === undefined) return refused('certificate-invalid');
    const tree = await believedTree(groupInfo, provider.suite).catch(() => undefined);
    if (tree === undefined) return refused('unopenable');
    const replacedDevice = request.replaces ?? own.dev;
    const replaced = membersOf(tree).find(
      (member) => member.accountId === own.sub && member.deviceId === replacedDevice,
    )?.leafIndex;
    const header: EnvelopeHeader = {
      ...groupContext,
      class: 'control',
      kind: 'commit',
      clientId: request.clientId,
    };
    const pair = await generateKeyPackage(provider, identity, { now, lifetimeDays: 1 });
    const joining = { groupInfo, tree, replaced, pair, header, provider };
    const made = await makeExternalCommit(joining).catch(() => undefined);
    if (made === undefined) return refused('unopenable');
    const { state, commit } = made;
    // Two questions to the caller's policy: may I be in this roster, and is my own change one that
    // others will accept?
    const entering = joiningDelta(state);
    const delta = {
      ...entering,
      kind: 'external-commit' as const,
      ...compareTrees(tree, state.ratchetTree, undefined),
    };
    const refusal =
      (await refusalOf(entering, request.authorize)) ?? (await refusalOf(delta, request.authorize));
    if (refusal !== undefined) return refusal;
    return {
      outcome: 'joined',
      session: activeSession(groupContext, state),
      commit,
      groupInfo: await publishGroupInfo(provider, state),
      delta,
      header,
      epoch: Number(groupInfo.groupContext.epoch),
    };
  };

type ExternalJoin = {
  readonly groupInfo: GroupInfo;
  readonly tree: RatchetTree;
  /** leaf index of the joiner's own old leaf */
  readonly replaced: number | undefined;
  readonly pair: KeyPackagePair;
  readonly header: EnvelopeHeader;
  readonly provider: CryptoProvider;
};

type Made = { readonly state: ClientState; readonly commit: Uint8Array };

async function makeExternalCommit(join: ExternalJoin): Promise<Made | undefined> {
  const { groupInfo, header, pair } = join;
  const { suite } = join.provider;
  const externalKey = groupInfo.extensions.find((ext) => ext.extensionType === 'external_pub');
  if (externalKey === undefined) return undefined;
  const { enc, secret: initSecret } = await exportSecret(externalKey.extensionData, suite);
  const place = await takePlace(join);
  const { framedContent, signature } = await createContentCommitSignature(
    groupInfo.groupContext,
    'mls_public_message',
    { proposals: externalProposals(join, enc), path: place.path },
    { senderType: 'new_member_commit' },
    encodeHeader(header),
    pair.privatePackage.signaturePrivateKey,
    suite.signature,
  );
  const groupContext = await nextEpochContext(
    groupInfo.groupContext,
    'mls_public_message',
    framedContent,
    signature,
    await treeHashRoot(place.ratchetTree, suite.hash),
    groupInfo.confirmationTag,
    suite.hash,
  );
  const state = await enterEpoch({ groupContext, initSecret, place, join });
  const auth = {
    contentType: 'commit' as const,
    signature,
    confirmationTag: state.confirmationTag,
  };
  const senderType = 'new_member_commit';
  const commit = writeMessage({
    wireformat: 'mls_public_message',
    publicMessage: { content: framedContent, auth, senderType },
  });
  return { state, commit };
}

function externalProposals({ replaced }: ExternalJoin, kemOutput: Uint8Array): ProposalOrRef[] {
  const init: Proposal = { proposalType: 'external_init', externalInit: { kemOutput } };
  const proposals: Proposal[] =
    replaced === undefined
      ? [init]
      : [{ proposalType: 'remove', remove: { removed: replaced } }, init];
  return proposals.map((proposal) => ({ proposalOrRefType: 'proposal', proposal }));
}

type Place = {
  readonly ratchetTree: RatchetTree;
  readonly path: UpdatePath;
  readonly privatePath: PrivateKeyPath;
  readonly commitSecret: Uint8Array;
};

/** The joiner's leaf in the tree, with fresh keys from there to the root (RFC 9420 §7.5). */
async function takePlace({
  groupInfo,
  tree,
  replaced,
  pair,
  provider,
}: ExternalJoin): Promise<Place> {
  const { suite } = provider;
  const kept = replaced === undefined ? tree : removeLeafNode(tree, toLeafIndex(replaced));
  const [grown, leafNode] = addLeafNode(kept, pair.publicPackage.leafNode);
  const leafIndex = nodeToLeafIndex(toNodeIndex(leafNode));
  const [ratchetTree, path, pathSecrets, leafKey] = await createUpdatePath(
    grown,
    leafIndex,
    groupInfo.groupContext,
    pair.privatePackage.signaturePrivateKey,
    suite,
  );
  const last = pathSecrets.at(-1);
  const commitSecret =
    last === undefined
      ? new Uint8Array(suite.kdf.size)
      : await getCommitSecret(ratchetTree, toNodeIndex(last.nodeIndex), last.secret, suite.kdf);
  const privatePath = updateLeafKey(
    await toPrivateKeyPath(pathToPathSecrets(pathSecrets), leafIndex, suite),
    await suite.hpke.exportPrivateKey(leafKey),
  );
  return { ratchetTree, path, privatePath, commitSecret };
}

async function enterEpoch(from: {
  readonly groupContext: MlsGroupContext;
  readonly initSecret: Uint8Array;
  readonly place: Place;
  readonly join: ExternalJoin;
}): Promise<ClientState> {
  const { groupContext, initSecret, place, join } = from;
  const { suite } = join.provider;
  const { ratchetTree, privatePath, commitSecret } = place;
  const noPsk = new Uint8Array(suite.kdf.size);
  const secrets = await initializeEpoch(initSecret, commitSecret, groupContext, noPsk, suite.kdf);
  const { encryptionSecret, keySchedule } = secrets;
  const { confirmedTranscriptHash } = groupContext;
  const { confirmationKey } = keySchedule;
  return {
    groupContext,
    ratchetTree,
    privatePath,
    signaturePrivateKey: join.pair.privatePackage.signaturePrivateKey,
    confirmationTag: await createConfirmationTag(
      confirmationKey,
      confirmedTranscriptHash,
      suite.hash,
    ),
    unappliedProposals: {},
    keySchedule,
    secretTree: await createSecretTree(leafWidth(ratchetTree.length), encryptionSecret, suite.kdf),
    historicalReceiverData: new Map(),
    groupActiveState: { kind: 'active' },
    clientConfig,
  };
}
