// What the engine keeps, record by record: conversations, contacts, messages, the outbox, parked items and pending commits.
// Written with encodeRecord: version first, so that a later engine can read what this one wrote.

import { octets } from '@siegel/protocol/content';
import {
  AccountId,
  ClientId,
  ConversationId,
  DeviceId,
  MessageId,
  NumericId,
  PhoneNumber,
} from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import {
  BlobId,
  BusinessCertificate,
  ConversationKind,
  DeliveredItem,
  DeviceList,
  EnvelopeClass,
  EnvelopeKind,
  Epoch,
  Generation,
  NumberStatement,
  RelayTag,
  RosterLeaf,
  TemplateCategory,
} from '@siegel/protocol/relay';
import * as z from 'zod/mini';

const AccountKind = z.enum(['person', 'business']);
const TemplateName = z.object({ id: NumericId, category: TemplateCategory });

/** `conversation`, by conversation id. */
export const ConversationRecord = z.object({
  v: z.literal(1),
  conversationId: ConversationId,
  kind: ConversationKind,
  phoneNumberId: z.optional(NumericId),
  /** fixed at first sight; never taken from the relay again (docs/decisions/0007) */
  members: z.array(
    z.object({ accountId: AccountId, kind: AccountKind, role: z.enum(['member', 'admin']) }),
  ),
  /** the newest this device has entered, or is about to */
  generation: Generation,
  /** holds a session of that generation */
  joined: z.boolean(),
  /** no member any more; nothing is sent or repaired */
  left: z.boolean(),
  /** the relay named strangers as members, and the chat has said so */
  disputed: z.optional(z.boolean()),
  /** made a commit with a path of its own in this generation, so its first keys are healed */
  committed: z.boolean(),
  /** somebody of another account has written in this generation */
  answered: z.boolean(),
  sentSinceCommit: z.int(),
  lastCommitAt: z.int(),
  unread: z.int(),
  lastMessageAt: z.optional(z.int()),
  /** of its newest message */
  lastOrder: z.string(),
});
export type ConversationRecord = z.infer<typeof ConversationRecord>;

/** `contact`, by account id: the pinned key, the newest list it signed, and what is known beside it. */
export const ContactRecord = z.object({
  v: z.literal(1),
  accountId: AccountId,
  kind: AccountKind,
  accountKey: z.string(),
  deviceList: DeviceList,
  displayName: z.optional(z.string()),
  certificate: z.optional(BusinessCertificate),
  numberStatement: z.optional(NumberStatement),
  blocked: z.optional(z.boolean()),
  /** keys pinned before, each with the newest list version seen under it */
  formerKeys: z.optional(z.array(z.object({ accountKey: z.string(), version: z.int() }))),
});
export type ContactRecord = z.infer<typeof ContactRecord>;

const Status = z.enum(['pending', 'sent', 'delivered', 'read', 'played', 'failed']);
export const Failure = z.enum([
  'undeliverable',
  'window-closed',
  'template-refused',
  'pair-rate',
  'quota-reached',
  'not-member',
  'expired',
  'content-refused',
]);

/** `message`, by `<conversation id>/<order>`. What is here proves a report: content, franking key and the relay's tag. */
export const MessageRecord = z.object({
  v: z.literal(1),
  conversationId: ConversationId,
  order: z.string(),
  messageId: MessageId,
  clientId: ClientId,
  accountId: AccountId,
  deviceId: DeviceId,
  own: z.boolean(),
  kind: EnvelopeKind,
  content: octets(limits.sealedBytesMax),
  at: z.int(),
  sequence: z.optional(z.int()),
  template: z.optional(TemplateName),
  commitment: z.optional(z.string()),
  frankingKey: z.optional(octets(32, 32)),
  tag: z.optional(RelayTag),
  /** sent from this device */
  status: z.optional(Status),
  failure: z.optional(Failure),
  /** sent from this device: accounts with a leaf in the epoch it was sealed in; nobody else is sent it again */
  readers: z.optional(z.array(AccountId)),
  /** how often it was sealed again on request */
  resent: z.optional(z.int()),
  /** received, and the holder of the account has seen it */
  read: z.optional(z.boolean()),
});
export type MessageRecord = z.infer<typeof MessageRecord>;

export const TargetRecord = z.union([
  z.object({ conversationId: ConversationId }),
  z.object({ business: NumericId }),
  z.object({ direct: AccountId }),
  z.object({
    from: NumericId,
    person: z.union([z.object({ number: PhoneNumber }), z.object({ accountId: AccountId })]),
  }),
]);

/** A message as it was sealed: these very octets are submitted until the relay has answered. */
export const SealedRecord = z.object({
  generation: Generation,
  epoch: Epoch,
  mls: octets(limits.sealedBytesMax),
  commitment: z.string(),
  frankingKey: octets(32, 32),
  /** accounts with a leaf in that epoch */
  readers: z.optional(z.array(AccountId)),
});

/** `outbox`, by order: what the relay has not accepted yet. */
export const OutboxRecord = z.object({
  v: z.literal(1),
  order: z.string(),
  clientId: ClientId,
  to: TargetRecord,
  class: EnvelopeClass,
  kind: EnvelopeKind,
  template: z.optional(TemplateName),
  blobs: z.optional(z.array(BlobId)),
  content: octets(limits.sealedBytesMax),
  createdAt: z.int(),
  /** of a message that is shown: its place in `message` */
  messageOrder: z.optional(z.string()),
  /** a content sent again: not sealed in a group with any other account */
  readers: z.optional(z.array(AccountId)),
  sealed: z.optional(SealedRecord),
});
export type OutboxRecord = z.infer<typeof OutboxRecord>;

/** `inbox`, by `<conversation id>/<sequence>`: stored and acknowledged, but not opened yet. */
export const ParkedRecord = z.object({
  v: z.literal(1),
  item: DeliveredItem,
  /** `waiting`: for a commit, a Welcome or the relay; `unopenable`: only its sender can help */
  state: z.enum(['waiting', 'unopenable']),
  since: z.int(),
  requests: z.int(),
  nextRequestAt: z.int(),
});
export type ParkedRecord = z.infer<typeof ParkedRecord>;

/** `outbox`, by `commit/<conversation id>`: a commit whose fate is not known. Adopted only when the relay took it. */
export const PendingRecord = z.object({
  v: z.literal(1),
  form: z.enum(['founding', 'member', 'external']),
  clientId: ClientId,
  generation: Generation,
  epoch: Epoch,
  session: octets(16 * 1024 * 1024),
  commit: octets(limits.handshakeBytesMax),
  welcome: z.optional(octets(limits.handshakeBytesMax)),
  groupInfo: octets(limits.handshakeBytesMax),
  added: z.array(RosterLeaf),
  removed: z.array(RosterLeaf),
});
export type PendingRecord = z.infer<typeof PendingRecord>;

/** `received`, by `<conversation id>/<account id>/<client id>`: this content was stored once and is not stored again. */
export const ReceivedRecord = z.object({ v: z.literal(1), order: z.optional(z.string()) });

/** `received`, by `own/<client id>`: written by this device. */
export const OwnRecord = z.object({
  v: z.literal(1),
  conversationId: z.optional(ConversationId),
  messageOrder: z.optional(z.string()),
});
export type OwnRecord = z.infer<typeof OwnRecord>;

/** `outbox`, by `receipt/<conversation id>/<order>`: a receipt that is owed. */
export const OwedReceipt = z.object({
  v: z.literal(1),
  messageId: MessageId,
  status: z.enum(['delivered', 'read', 'played']),
  at: z.int(),
});
export type OwedReceipt = z.infer<typeof OwedReceipt>;

/** `meta`, by target key (`to:…`): the conversation a target was resolved to. */
export const ResolvedTarget = z.object({
  v: z.literal(1),
  conversationId: ConversationId,
  at: z.int(),
});
export type ResolvedTarget = z.infer<typeof ResolvedTarget>;
