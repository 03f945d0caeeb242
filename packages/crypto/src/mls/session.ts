// What stands behind the engine's opaque session, and its stored form. The state of ts-mls holds
// all keys of one leaf.

import { SiegelError } from '@siegel/protocol/errors';
import { ConversationId } from '@siegel/protocol/ids';
import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import { type ClientState, decodeGroupState, encodeGroupState } from 'ts-mls';
import { assert } from '../bytes.ts';
import type { GroupContext, Session, SessionInfo } from '../engine.ts';
import { clientConfig, isBoundTo } from './group-config.ts';
import { memberAt, membersOf } from './members.ts';

/** Without `state` this device has been removed: nothing is kept that could open anything. */
export type MlsSession = Session & {
  readonly groupContext: GroupContext;
  readonly epoch: number;
  readonly state: ClientState | undefined;
};

const isMlsSession = (session: Session): session is MlsSession =>
  'groupContext' in session && 'epoch' in session && 'state' in session;

export function fromSession(session: Session): MlsSession {
  assert(isMlsSession(session), 'the session was made by this engine');
  return session;
}

const toSession = (fields: Omit<MlsSession, 'brand'>): Session => ({ brand: 'session', ...fields });

export const activeSession = (groupContext: GroupContext, state: ClientState): Session =>
  toSession({ groupContext, epoch: Number(state.groupContext.epoch), state });

/** Conversation and generation of a header, against those this session is bound to. */
export const isOfGroup = (header: GroupContext, groupContext: GroupContext): boolean =>
  header.conversationId === groupContext.conversationId &&
  header.generation === groupContext.generation;

export const removedSession = ({ groupContext, epoch }: MlsSession): Session =>
  toSession({ groupContext, epoch, state: undefined });

export function sessionInfo(session: Session): SessionInfo {
  const { groupContext, epoch, state } = fromSession(session);
  if (state === undefined) {
    return { ...groupContext, status: 'removed', epoch, own: undefined, members: [] };
  }
  const own = memberAt(state.ratchetTree, state.privatePath.leafIndex);
  const members = membersOf(state.ratchetTree);
  return { ...groupContext, status: 'active', epoch, own, members };
}

const stateVersion = 1;

/**
 * A version octet, then deterministic CBOR: conversation, generation, epoch, the state of ts-mls or
 * null.
 */
export function encodeSession(session: Session): Uint8Array {
  const { groupContext, epoch, state } = fromSession(session);
  const body = encode(
    [
      groupContext.conversationId,
      groupContext.generation,
      epoch,
      state === undefined ? null : encodeGroupState(state),
    ],
    rfc8949EncodeOptions,
  );
  const bytes = new Uint8Array(body.length + 1);
  bytes[0] = stateVersion;
  bytes.set(body, 1);
  return bytes;
}

export function decodeSession(bytes: Uint8Array): Session {
  if (bytes[0] !== stateVersion) {
    throw new SiegelError('state-corrupt', `session version ${bytes[0] ?? 'missing'} is unknown`);
  }
  try {
    return readSession(bytes.subarray(1));
  } catch (cause) {
    throw new SiegelError('state-corrupt', 'session', { cause });
  }
}

function readSession(body: Uint8Array): Session {
  const fields: unknown = decode(body, { strict: true });
  assert(Array.isArray(fields) && fields.length === 4, 'four fields');
  const [conversationId, generation, epoch, stored]: unknown[] = fields;
  assert(typeof generation === 'number' && typeof epoch === 'number', 'numbers');
  const groupContext = { conversationId: ConversationId.parse(conversationId), generation };
  if (stored === null) return toSession({ groupContext, epoch, state: undefined });
  assert(stored instanceof Uint8Array, 'a state');
  const decoded = decodeGroupState(stored, 0);
  assert(decoded !== undefined && decoded[1] === stored.length, 'a whole state');
  const state = { ...decoded[0], clientConfig };
  assert(Number(state.groupContext.epoch) === epoch, 'the same epoch');
  assert(isBoundTo(state.groupContext.extensions, groupContext), 'the same conversation');
  return activeSession(groupContext, state);
}
