// Checks the ratchet tree a joiner is handed (RFC 9420 §12.4.3.1, leaves by §7.3). The check inside
// ts-mls 1.6.4 also refuses valid trees: it wants every ancestor to list the same unmerged leaves,
// and any refresh after an Add breaks that.

import type { CiphersuiteImpl, GroupContext, LeafNode, RatchetTree } from 'ts-mls';
import { extensionsSupportedByCapabilities } from 'ts-mls/extension.js';
import { verifyLeafNodeSignature, verifyLeafNodeSignatureKeyPackage } from 'ts-mls/leafNode.js';
import { verifyParentHashes } from 'ts-mls/parentHash.js';
import { treeHashRoot } from 'ts-mls/treeHash.js';
import { directPath, leafWidth, toNodeIndex } from 'ts-mls/treemath.js';
import { equalBytes, toBase64Url } from '../bytes.ts';
import { conversationExtension } from './extensions.ts';
import { clientConfig } from './group-config.ts';

/** False as soon as anything is wrong. May throw on trees that ts-mls cannot walk. */
export const isValidTree = async (
  tree: RatchetTree,
  groupContext: GroupContext,
  suite: CiphersuiteImpl,
): Promise<boolean> =>
  (await isSoundTree(tree, groupContext.treeHash, suite)) &&
  hasValidLeaves(tree, groupContext, suite);

/**
 * Shape, keys, unmerged leaves, tree hash and parent hashes; who sits on the leaves is not asked.
 */
export const isSoundTree = async (
  tree: RatchetTree,
  treeHash: Uint8Array,
  suite: CiphersuiteImpl,
): Promise<boolean> =>
  isWellFormed(tree) &&
  hasUniqueKeys(tree) &&
  listsUnmergedLeavesRightly(tree) &&
  equalBytes(await treeHashRoot(tree, suite.hash), treeHash) &&
  verifyParentHashes(tree, suite.hash);

const isWellFormed = (tree: RatchetTree): boolean =>
  tree.every(
    (node, index) => node === undefined || (node.nodeType === 'leaf') === (index % 2 === 0),
  );

function hasUniqueKeys(tree: RatchetTree): boolean {
  const nodes = tree.filter((node) => node !== undefined);
  const leaves = nodes.flatMap((node) => (node.nodeType === 'leaf' ? [node.leaf] : []));
  const encryption = nodes.map((node) =>
    toBase64Url(node.nodeType === 'leaf' ? node.leaf.hpkePublicKey : node.parent.hpkePublicKey),
  );
  const signature = leaves.map((leaf) => toBase64Url(leaf.signaturePublicKey));
  return (
    new Set(encryption).size === encryption.length && new Set(signature).size === signature.length
  );
}

/**
 * RFC 9420 §7.9: a leaf unmerged at a node is below it, and unmerged at every non-blank node
 * between.
 */
function listsUnmergedLeavesRightly(tree: RatchetTree): boolean {
  const width = leafWidth(tree.length);
  return tree.every(
    (node, index) =>
      node?.nodeType !== 'parent' ||
      (isAscending(node.parent.unmergedLeaves) &&
        node.parent.unmergedLeaves.every((leafIndex) => {
          if (tree[leafIndex * 2]?.nodeType !== 'leaf') return false;
          const path: number[] = directPath(toNodeIndex(leafIndex * 2), width);
          const at = path.indexOf(index);
          return (
            at >= 0 && path.slice(0, at).every((below) => isUnmergedAt(tree[below], leafIndex))
          );
        })),
  );
}

const isUnmergedAt = (node: RatchetTree[number], leafIndex: number): boolean =>
  node === undefined ||
  (node.nodeType === 'parent' && node.parent.unmergedLeaves.includes(leafIndex));

const isAscending = (values: readonly number[]): boolean =>
  values.every((value, index) => index === 0 || value > values[index - 1]!);

async function hasValidLeaves(
  tree: RatchetTree,
  groupContext: GroupContext,
  suite: CiphersuiteImpl,
): Promise<boolean> {
  for (const [index, node] of tree.entries()) {
    if (node?.nodeType !== 'leaf') continue;
    if (
      !(await isValidLeaf(node.leaf, {
        leafIndex: index / 2,
        groupId: groupContext.groupId,
        suite,
      }))
    )
      return false;
  }
  return true;
}

/** Lifetime is not looked at: expiry never stops joining (design §3). */
export async function isValidLeaf(
  leaf: LeafNode,
  place: {
    readonly leafIndex: number;
    readonly groupId: Uint8Array;
    readonly suite: CiphersuiteImpl;
  },
): Promise<boolean> {
  const { leafIndex, groupId, suite } = place;
  const isSigned =
    leaf.leafNodeSource === 'key_package'
      ? await verifyLeafNodeSignatureKeyPackage(leaf, suite.signature)
      : await verifyLeafNodeSignature(leaf, groupId, leafIndex, suite.signature);
  return (
    isSigned &&
    extensionsSupportedByCapabilities(leaf.extensions, leaf.capabilities) &&
    leaf.capabilities.credentials.includes('basic') &&
    leaf.capabilities.extensions.includes(conversationExtension) &&
    clientConfig.authService.validateCredential(leaf.credential, leaf.signaturePublicKey)
  );
}
