// The socket: the relay delivers, the device acknowledges after storing. Frames are JSON, one a message.
// `GET /v1/socket` upgrades (RFC 6455); the first frame of the device is `hello` with its token, so no token stands in a URL.

import * as z from 'zod/mini';
import { AccountId, base64Url, ClientId, ConversationId, NumericId } from '../ids.ts';
import { limits } from '../limits.ts';
import { Token } from './accounts.ts';
import { RosterLeaf } from './conversations.ts';
import {
  DeviceAddress,
  EnvelopeClass,
  EnvelopeKind,
  Epoch,
  Generation,
  RelayTag,
  TemplateCategory,
  Time,
} from './envelope.ts';

export const socketPath = '/v1/socket';
/** WebSocket subprotocol, so that an unknown version is refused before any frame. */
export const socketProtocol = 'siegel.v1';

/** What every mailbox item has: where it stands in the mailbox and in its conversation. */
const placed = {
  /** grows with every item of this mailbox; acknowledged up to and including */
  position: z.int(),
  conversationId: ConversationId,
  /** grows with every accepted submit of this conversation; gaps are normal for a device that was not addressed */
  sequence: z.int(),
  generation: Generation,
  epoch: Epoch,
  sender: DeviceAddress,
  clientId: ClientId,
  acceptedAt: Time,
};

export const DeliveredMessage = z.object({
  type: z.literal('message'),
  ...placed,
  class: EnvelopeClass,
  kind: EnvelopeKind,
  commitment: base64Url(32, 32),
  template: z.optional(z.object({ id: NumericId, category: TemplateCategory })),
  mls: base64Url(limits.sealedBytesMax, 1),
  tag: RelayTag,
});
export type DeliveredMessage = z.infer<typeof DeliveredMessage>;

/** `epoch` is the epoch the commit was made in; after it the group is in the next one. */
export const DeliveredCommit = z.object({
  type: z.literal('commit'),
  ...placed,
  form: z.enum(['founding', 'member', 'external']),
  mls: base64Url(limits.handshakeBytesMax),
  added: z.array(RosterLeaf),
  removed: z.array(RosterLeaf),
});
export type DeliveredCommit = z.infer<typeof DeliveredCommit>;

/** To a device that the commit of this sequence added. */
export const DeliveredWelcome = z.object({
  type: z.literal('welcome'),
  ...placed,
  mls: base64Url(limits.handshakeBytesMax, 1),
});
export type DeliveredWelcome = z.infer<typeof DeliveredWelcome>;

export const DeliveredItem = z.discriminatedUnion('type', [
  DeliveredMessage,
  DeliveredCommit,
  DeliveredWelcome,
]);
export type DeliveredItem = z.infer<typeof DeliveredItem>;

/** Frames a device sends. */
export const DeviceFrame = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('hello'), token: Token }),
  z.strictObject({ type: z.literal('acknowledge'), position: z.int().check(z.minimum(0)) }),
  z.strictObject({ type: z.literal('ping'), id: z.int() }),
]);
export type DeviceFrame = z.infer<typeof DeviceFrame>;

/** Frames the relay sends. Unknown types are ignored by a device. */
export const RelayFrame = z.discriminatedUnion('type', [
  /** the token was good; items follow from the oldest unacknowledged one */
  z.object({ type: z.literal('ready'), accountId: AccountId, waiting: z.int() }),
  z.object({ type: z.literal('items'), items: z.array(DeliveredItem) }),
  /** nothing is waiting any more */
  z.object({ type: z.literal('caught-up') }),
  z.object({ type: z.literal('pong'), id: z.int() }),
  /** the account's own or a contact's device list changed, or a revocation must be committed */
  z.object({ type: z.literal('devices-changed'), accountId: AccountId }),
  z.object({ type: z.literal('key-packages-low'), left: z.int() }),
  z.object({
    type: z.literal('bye'),
    reason: z.enum([
      'unauthenticated',
      'revoked',
      'replaced',
      'shutting-down',
      'malformed',
      'too-slow',
    ]),
  }),
]);
export type RelayFrame = z.infer<typeof RelayFrame>;
