// From leaves of the ratchet tree to members: who sits where, as their certificates say, and what a
// commit changed.

import type { LeafNode, RatchetTree } from 'ts-mls';
import { encodeLeafNode } from 'ts-mls/leafNode.js';
import { assert, equalBytes, fromUtf8, toBase64Url } from '../bytes.ts';
import { unsafeReadLeafCertificate } from '../leaf-certificate.ts';
import type { Member } from '../roster.ts';

/** A leaf sits at every even index of the tree (RFC 9420 §4.1). */
export const leafAt = (tree: RatchetTree, leafIndex: number): LeafNode | undefined => {
  const node = tree[leafIndex * 2];
  return node?.nodeType === 'leaf' ? node.leaf : undefined;
};

/**
 * Only for leaves of a tree that was validated: the certificate's signature is not looked at again.
 */
export function memberOf(leaf: LeafNode, leafIndex: number): Member | undefined {
  if (leaf.credential.credentialType !== 'basic') return undefined;
  const certificate = fromUtf8(leaf.credential.identity);
  const read = unsafeReadLeafCertificate(certificate);
  if (read === undefined || read.leaf !== toBase64Url(leaf.signaturePublicKey)) return undefined;
  return {
    leafIndex,
    accountId: read.sub,
    deviceId: read.dev,
    accountKey: read.key,
    leafKey: read.leaf,
    certificate,
    expiresAt: read.exp,
  };
}

export function memberAt(tree: RatchetTree, leafIndex: number): Member | undefined {
  const leaf = leafAt(tree, leafIndex);
  return leaf === undefined ? undefined : memberOf(leaf, leafIndex);
}

export function membersOf(tree: RatchetTree): readonly Member[] {
  const members: Member[] = [];
  for (let leafIndex = 0; leafIndex * 2 < tree.length; leafIndex += 1) {
    const leaf = leafAt(tree, leafIndex);
    if (leaf === undefined) continue;
    const member = memberOf(leaf, leafIndex);
    assert(member !== undefined, 'a validated tree holds only certified leaves');
    members.push(member);
  }
  return members;
}

/** The same device twice would let one of them speak for the other. */
export function hasDuplicateDevice(members: readonly Member[]): boolean {
  const devices = new Set(members.map(({ accountId, deviceId }) => `${accountId} ${deviceId}`));
  return devices.size !== members.length;
}

export type TreeChange = {
  readonly added: readonly Member[];
  readonly removed: readonly Member[];
  readonly updated?: { readonly before: Member; readonly after: Member };
};

/**
 * What really changed, whatever the proposals say: ts-mls shows its callback no removals of an
 * external commit. A leaf that differs in any octet counts as removed and added, but for the
 * committer's own, which a path always replaces.
 */
export function compareTrees(
  before: RatchetTree,
  after: RatchetTree,
  committer: number | undefined,
): TreeChange {
  const added: Member[] = [];
  const removed: Member[] = [];
  let updated: TreeChange['updated'];
  for (let index = 0; index * 2 < Math.max(before.length, after.length); index += 1) {
    const [old, fresh] = [leafAt(before, index), leafAt(after, index)];
    if (isSameLeaf(old, fresh)) continue;
    const [oldMember, freshMember] = [memberAt(before, index), memberAt(after, index)];
    if (index === committer && oldMember !== undefined && freshMember !== undefined) {
      if (!isSameIdentity(oldMember, freshMember)) {
        updated = { before: oldMember, after: freshMember };
      }
      continue;
    }
    if (oldMember !== undefined) removed.push(oldMember);
    if (freshMember !== undefined) added.push(freshMember);
  }
  return updated === undefined ? { added, removed } : { added, removed, updated };
}

const isSameLeaf = (a: LeafNode | undefined, b: LeafNode | undefined): boolean =>
  a === b ||
  (a !== undefined && b !== undefined && equalBytes(encodeLeafNode(a), encodeLeafNode(b)));

const isSameIdentity = (a: Member, b: Member): boolean =>
  a.certificate === b.certificate && a.leafKey === b.leafKey;
