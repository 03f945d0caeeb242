// Ciphertext becomes content again, with the leaf that really sealed it. processMessage of ts-mls
// does not name that leaf, so the lower level is used: member B must never appear as A (design §3).

import { type EnvelopeHeader, encodeHeader, headerIsConsistent } from '@siegel/protocol/relay';
import type { ClientState, EpochReceiverData, PrivateMessage } from 'ts-mls';
import { unprotectPrivateMessage } from 'ts-mls/messageProtection.js';
import { decryptSenderData } from 'ts-mls/privateMessage.js';
import { equalBytes } from '../bytes.ts';
import type { Engine, Opened, OpenRefusal } from '../engine.ts';
import { verifyCommitment } from '../franking.ts';
import type { CryptoProvider } from '../provider.ts';
import type { Member } from '../roster.ts';
import { readSealedFrame } from '../sealed-frame.ts';
import { refused } from './authorize.ts';
import { clientConfig } from './group-config.ts';
import { memberAt, membersOf } from './members.ts';
import { activeSession, fromSession, isOfGroup } from './session.ts';
import { parseMessage } from './wire.ts';

export const open =
  (provider: CryptoProvider): Engine['open'] =>
  async (session, { mls, header, epoch, sender, now }): Promise<Opened> => {
    const { groupContext, state } = fromSession(session);
    if (state === undefined) return refused('removed');
    if (!isOfGroup(header, groupContext)) return refused('wrong-conversation');
    const message = parseApplicationMessage(mls, state);
    if (message === undefined) return refused('malformed');
    if (!describes(header, message) || Number(message.epoch) !== epoch) {
      return refused('header-mismatch');
    }
    const keys = keysOfEpoch(state, message.epoch);
    if (typeof keys === 'string') return refused(keys);
    const unsealed = await unseal(message, keys, provider);
    if (typeof unsealed === 'string') return refused(unsealed);
    const refusal = refusalOfSender(unsealed.member, { sender, state });
    if (refusal !== undefined) return refused(refusal);
    const frame = readSealedFrame(unsealed.plaintext);
    if (frame === undefined) return refused('malformed');
    const { content, frankingKey } = frame;
    if (!verifyCommitment(content, frankingKey, header.commitment ?? '')) {
      return refused('commitment-mismatch');
    }
    return {
      outcome: 'opened',
      session: activeSession(groupContext, withKeys(state, message.epoch, unsealed.keys)),
      content: content.slice(),
      frankingKey: frankingKey.slice(),
      sender: unsealed.member,
      epoch,
      certificateExpired: unsealed.member.expiresAt * 1000 <= now,
    };
  };

function parseApplicationMessage(
  bytes: Uint8Array,
  state: ClientState,
): PrivateMessage | undefined {
  const message = parseMessage(bytes);
  if (message?.wireformat !== 'mls_private_message') return undefined;
  const { privateMessage } = message;
  const isOurs =
    privateMessage.contentType === 'application' &&
    equalBytes(privateMessage.groupId, state.groupContext.groupId);
  return isOurs ? privateMessage : undefined;
}

/** The relay's header is, octet for octet, the one the sender signed. */
const describes = (header: EnvelopeHeader, message: PrivateMessage): boolean =>
  headerIsConsistent(header) && equalBytes(encodeHeader(header), message.authenticatedData);

type EpochKeys = Omit<EpochReceiverData, 'resumptionPsk'>;

/**
 * Keys and ratchet tree of the epoch the message was sealed in: a leaf may belong to somebody else
 * by now.
 */
function keysOfEpoch(state: ClientState, epoch: bigint): EpochKeys | OpenRefusal {
  const { groupContext, keySchedule, ratchetTree, secretTree } = state;
  if (epoch > groupContext.epoch) return 'epoch-ahead';
  if (epoch === groupContext.epoch) {
    const { senderDataSecret } = keySchedule;
    return { groupContext, ratchetTree, secretTree, senderDataSecret };
  }
  return state.historicalReceiverData.get(epoch) ?? 'epoch-unknown';
}

function withKeys(state: ClientState, epoch: bigint, { secretTree }: EpochKeys): ClientState {
  if (epoch === state.groupContext.epoch) return { ...state, secretTree };
  const past = state.historicalReceiverData.get(epoch)!;
  const historicalReceiverData = new Map(state.historicalReceiverData);
  historicalReceiverData.set(epoch, { ...past, secretTree });
  return { ...state, historicalReceiverData };
}

type Unsealed = {
  readonly plaintext: Uint8Array;
  readonly member: Member;
  readonly keys: EpochKeys;
};

async function unseal(
  message: PrivateMessage,
  keys: EpochKeys,
  { suite }: CryptoProvider,
): Promise<Unsealed | OpenRefusal> {
  const { groupContext, ratchetTree, secretTree, senderDataSecret } = keys;
  try {
    const data = await decryptSenderData(message, senderDataSecret, suite);
    const member = data && memberAt(ratchetTree, data.leafIndex);
    const ratchet = data && secretTree[data.leafIndex * 2]?.application;
    if (data === undefined || member === undefined || ratchet === undefined) return 'unopenable';
    const ahead = data.generation - ratchet.generation;
    if (ahead < 0) return 'replayed';
    const retention = clientConfig.keyRetentionConfig;
    if (ahead > retention.maximumForwardRatchetSteps) return 'too-far-ahead';
    const { content, tree } = await unprotectPrivateMessage(
      senderDataSecret,
      message,
      secretTree,
      ratchetTree,
      groupContext,
      retention,
      suite,
    );
    if (content.content.contentType !== 'application') return 'malformed';
    const plaintext = content.content.applicationData;
    return { plaintext, member, keys: { ...keys, secretTree: tree } };
  } catch {
    // Wrong key, wrong signature or octets that are no message: ts-mls throws for all of them.
    return 'unopenable';
  }
}

function refusalOfSender(
  member: Member,
  {
    sender,
    state,
  }: { sender: Member | Parameters<Engine['open']>[1]['sender']; state: ClientState },
): OpenRefusal | undefined {
  const isSender = ({ accountId, deviceId }: typeof sender) =>
    accountId === member.accountId && deviceId === member.deviceId;
  if (!isSender(sender)) return 'sender-mismatch';
  // A commit that removes a leaf closes all older epochs for it; the relay does so, and this is the
  // reader's own check.
  return membersOf(state.ratchetTree).some(isSender) ? undefined : 'sender-removed';
}
