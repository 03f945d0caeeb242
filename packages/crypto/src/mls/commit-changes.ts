// A member's commit: add, remove, or heal by a fresh path (RFC 9420 §12.4.1). It stays pending
// until the relay took it.

import { SiegelError } from '@siegel/protocol/errors';
import { type EnvelopeHeader, encodeHeader } from '@siegel/protocol/relay';
import { type ClientState, createCommit, encodeMlsMessage, type Proposal } from 'ts-mls';
import { assert, utf8 } from '../bytes.ts';
import type { Committed, Engine } from '../engine.ts';
import { verifyLeafCertificate } from '../leaf-certificate.ts';
import type { CryptoProvider } from '../provider.ts';
import type { RosterDelta } from '../roster.ts';
import { refusalOf, refused } from './authorize.ts';
import { publishGroupInfo } from './group-info.ts';
import { addProposals } from './key-packages.ts';
import { compareTrees, leafAt, memberAt, membersOf } from './members.ts';
import { activeSession, fromSession } from './session.ts';
import { writeMessage } from './wire.ts';

export const commitChanges =
  (provider: CryptoProvider): Engine['commitChanges'] =>
  async (session, request): Promise<Committed> => {
    const { groupContext, epoch, state } = fromSession(session);
    if (state === undefined) return refused('removed');
    const { add = [], remove = [], certificate, clientId } = request;
    const additions = await addProposals(add, request.now);
    if (typeof additions === 'string') return refused(additions);
    const own = state.privatePath.leafIndex;
    const isRemovable = (index: number) => index !== own && leafAt(state.ratchetTree, index);
    if (!remove.every(isRemovable) || new Set(remove).size !== remove.length) {
      return refused('no-such-leaf');
    }
    assert(
      certificate === undefined || add.length === 0 || remove.length > 0,
      'a renewed certificate needs a path, and a commit that only adds has none',
    );
    const committing = certificate === undefined ? state : await recertified(state, certificate);
    if (committing === undefined) return refused('certificate-invalid');
    const header: EnvelopeHeader = { ...groupContext, class: 'control', kind: 'commit', clientId };
    const removals = remove.map(
      (removed): Proposal => ({ proposalType: 'remove', remove: { removed } }),
    );
    const made = await createCommit(
      { state: committing, cipherSuite: provider.suite },
      {
        extraProposals: [...removals, ...additions],
        ratchetTreeExtension: true,
        authenticatedData: encodeHeader(header),
      },
    ).catch((cause: unknown) => {
      // A key package can pass inspection and still not fit this group: used twice, a key that is
      // here already.
      if (additions.length > 0) return undefined;
      throw new SiegelError('seal-refused', 'commit', { cause });
    });
    if (made === undefined) return refused('key-package-invalid');
    const next = withTreeOfEpoch(made.newState, state);
    const delta = deltaOf(state, next, own);
    const refusal = await refusalOf(delta, request.authorize);
    if (refusal !== undefined) return refusal;
    const { welcome } = made;
    return {
      outcome: 'committed',
      session: activeSession(groupContext, next),
      commit: encodeMlsMessage(made.commit),
      welcome: welcome && writeMessage({ wireformat: 'mls_welcome', welcome }),
      groupInfo: await publishGroupInfo(provider, next),
      delta,
      header,
      epoch,
    };
  };

/**
 * This device's own leaf with a renewed certificate; the path of the coming commit carries it to
 * the others.
 */
async function recertified(
  state: ClientState,
  certificate: string,
): Promise<ClientState | undefined> {
  const own = state.privatePath.leafIndex;
  const [leaf, before] = [leafAt(state.ratchetTree, own), memberAt(state.ratchetTree, own)];
  const verified = await verifyLeafCertificate(certificate);
  if (verified.outcome !== 'valid' || leaf === undefined || before === undefined) return undefined;
  const { statement } = verified;
  const isSameLeaf =
    statement.sub === before.accountId &&
    statement.dev === before.deviceId &&
    statement.key === before.accountKey &&
    statement.leaf === before.leafKey;
  if (!isSameLeaf) return undefined;
  const ratchetTree = [...state.ratchetTree];
  const credential = { credentialType: 'basic' as const, identity: utf8(certificate) };
  ratchetTree[own * 2] = { nodeType: 'leaf', leaf: { ...leaf, credential } };
  return { ...state, ratchetTree };
}

/**
 * The epoch that ends keeps the tree it really had, not the one lent to `createCommit` with the new
 * certificate.
 */
function withTreeOfEpoch(
  next: ClientState,
  { groupContext, ratchetTree }: ClientState,
): ClientState {
  const past = next.historicalReceiverData.get(groupContext.epoch);
  if (past === undefined) return next;
  const historicalReceiverData = new Map(next.historicalReceiverData);
  historicalReceiverData.set(groupContext.epoch, { ...past, ratchetTree });
  return { ...next, historicalReceiverData };
}

function deltaOf(before: ClientState, after: ClientState, committer: number): RosterDelta {
  const member = memberAt(after.ratchetTree, committer);
  assert(member !== undefined, 'the committer stays a member');
  return {
    kind: 'commit',
    committer: member,
    ...compareTrees(before.ratchetTree, after.ratchetTree, committer),
    members: membersOf(after.ratchetTree),
  };
}
