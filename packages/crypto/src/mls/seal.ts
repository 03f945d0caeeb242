// Content becomes ciphertext: frame, pad, commit to it in the header, sign and encrypt once for the
// whole group.

import { type EnvelopeHeader, encodeHeader, headerIsConsistent } from '@siegel/protocol/relay';
import { createApplicationMessage } from 'ts-mls';
import type { Engine, Sealed } from '../engine.ts';
import { frankingKeyBytes, makeCommitment } from '../franking.ts';
import type { CryptoProvider } from '../provider.ts';
import { writeSealedFrame } from '../sealed-frame.ts';
import { refused } from './authorize.ts';
import { memberAt } from './members.ts';
import { activeSession, fromSession, isOfGroup } from './session.ts';
import { writeMessage } from './wire.ts';

export const seal =
  (provider: CryptoProvider): Engine['seal'] =>
  async (session, { header: wanted, content, now }): Promise<Sealed> => {
    const { groupContext, epoch, state } = fromSession(session);
    if (state === undefined) return refused('removed');
    if (!isOfGroup(wanted, groupContext)) return refused('wrong-conversation');
    const own = memberAt(state.ratchetTree, state.privatePath.leafIndex);
    // An expired certificate ends sending here, at the sender; readers only drop the badge (design
    // §3).
    if (own === undefined || own.expiresAt * 1000 <= now) return refused('certificate-expired');
    const frankingKey = provider.randomBytes(frankingKeyBytes);
    const header: EnvelopeHeader = { ...wanted, commitment: makeCommitment(content, frankingKey) };
    if (!headerIsConsistent(header)) return refused('header-inconsistent');
    const { newState, privateMessage } = await createApplicationMessage(
      state,
      writeSealedFrame({ frankingKey, content }),
      provider.suite,
      encodeHeader(header),
    );
    return {
      outcome: 'sealed',
      session: activeSession(groupContext, newState),
      mls: writeMessage({ wireformat: 'mls_private_message', privateMessage }),
      header,
      epoch,
      frankingKey,
    };
  };
