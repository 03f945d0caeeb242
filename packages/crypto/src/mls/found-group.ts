// The first commit of a generation: one group with all devices of both sides, in one step (RFC 9420
// §11).

import { createCommit, createGroup } from 'ts-mls';
import { assert } from '../bytes.ts';
import type { Engine } from '../engine.ts';
import { verifyLeafCertificate } from '../leaf-certificate.ts';
import type { CryptoProvider } from '../provider.ts';
import type { RosterDelta } from '../roster.ts';
import { refusalOf, refused } from './authorize.ts';
import { clientConfig, groupContextExtension } from './group-config.ts';
import { publishGroupInfo } from './group-info.ts';
import { addProposals } from './key-packages.ts';
import { compareTrees, memberAt, membersOf } from './members.ts';
import { generateKeyPackage } from './new-key-package.ts';
import { activeSession } from './session.ts';
import { writeMessage } from './wire.ts';

const groupIdBytes = 16;

export const foundGroup =
  (provider: CryptoProvider): Engine['foundGroup'] =>
  async ({ groupContext, identity, keyPackages, authorize, now }) => {
    const proposals = await addProposals(keyPackages, now);
    if (typeof proposals === 'string') return refused(proposals);
    const verified = await verifyLeafCertificate(identity.certificate);
    if (verified.outcome !== 'valid') return refused('certificate-invalid');
    const { suite } = provider;
    // The founder's own package never leaves this call; only its leaf does.
    const own = await generateKeyPackage(provider, identity, { now, lifetimeDays: 1 });
    const empty = await createGroup(
      provider.randomBytes(groupIdBytes),
      own.publicPackage,
      own.privatePackage,
      [groupContextExtension(groupContext)],
      suite,
      clientConfig,
    );
    const { newState, welcome } = await createCommit(
      { state: empty, cipherSuite: suite },
      { extraProposals: [...proposals], ratchetTreeExtension: true },
    );
    const committer = memberAt(newState.ratchetTree, 0);
    assert(committer !== undefined, 'the founder has a certificate for its leaf key');
    const delta: RosterDelta = {
      kind: 'founding',
      committer,
      ...compareTrees([], newState.ratchetTree, undefined),
      members: membersOf(newState.ratchetTree),
    };
    const refusal = await refusalOf(delta, authorize);
    if (refusal !== undefined) return refusal;
    return {
      outcome: 'founded',
      session: activeSession(groupContext, newState),
      welcome: welcome && writeMessage({ wireformat: 'mls_welcome', welcome }),
      groupInfo: await publishGroupInfo(provider, newState),
      delta,
    };
  };
