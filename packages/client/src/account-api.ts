// What an account offers to the app or gateway that holds it. The app sees contents and statuses, never ciphertext or epochs.

import type { Body, Content } from '@siegel/protocol/content';
import type {
  AccountId,
  ClientId,
  ConversationId,
  DeviceId,
  MessageId,
  NumericId,
  PhoneNumber,
} from '@siegel/protocol/ids';
import type {
  BusinessCertificate,
  ConversationKind,
  NumberStatement,
  TemplateObject,
} from '@siegel/protocol/relay';

/** Whom a message is for. A conversation is found or founded when needed. */
export type Target =
  | { readonly conversationId: ConversationId }
  | { readonly business: NumericId }
  | { readonly direct: AccountId }
  | {
      readonly from: NumericId;
      readonly person: { readonly number: PhoneNumber } | { readonly accountId: AccountId };
    };

export type Outgoing = {
  readonly to: Target;
  readonly body: Body;
  readonly inReplyTo?: MessageId;
  readonly replaces?: MessageId;
  readonly automated?: boolean;
  /** of a template message: what the relay bills by; must be what the object says */
  readonly template?: {
    readonly id: NumericId;
    readonly category: 'marketing' | 'utility' | 'authentication';
  };
  /** blobs the body refers to */
  readonly blobs?: readonly string[];
  /** chosen by the caller to make a retry of its own idempotent */
  readonly clientId?: ClientId;
};

/** Forward only: a later status never gives way to an earlier one (message-status.ts). */
export type MessageStatus = 'pending' | 'sent' | 'delivered' | 'read' | 'played' | 'failed';

/** Why a message ended as `failed`: the relay's refusals by name, and what the device itself found. */
export type FailureReason =
  | 'undeliverable'
  | 'window-closed'
  | 'template-refused'
  | 'pair-rate'
  | 'quota-reached'
  | 'not-member'
  | 'expired'
  | 'content-refused';

export type ReceivedMessage = {
  readonly conversationId: ConversationId;
  readonly conversation: ConversationKind;
  /** the business number of a business conversation */
  readonly phoneNumberId?: NumericId;
  readonly messageId: MessageId;
  readonly clientId: ClientId;
  readonly sender: { readonly accountId: AccountId; readonly deviceId: DeviceId };
  /** true when another device of the own account sent it */
  readonly own: boolean;
  readonly content: Content;
  /** the relay's time, milliseconds since 1970 */
  readonly acceptedAt: number;
  /** for a template: the verified public object to render with */
  readonly template?: TemplateObject;
};

export type StatusUpdate = {
  readonly conversationId?: ConversationId;
  readonly clientId: ClientId;
  readonly messageId?: MessageId;
  readonly status: MessageStatus;
  readonly at: number;
  readonly failure?: FailureReason;
};

/** Lines a chat shows about itself. */
export type ConversationNotice = {
  readonly conversationId: ConversationId;
  readonly notice:
    | 'joined'
    | 'new-generation'
    | 'account-key-changed'
    | 'device-added'
    | 'device-removed'
    /** could not be opened, nor did its sender seal it again; `clientId` names it */
    | 'message-unreadable'
    /** opened, but not what its envelope or its template says */
    | 'message-refused'
    | 'sender-mismatch'
    | 'roster-mismatch'
    /** this device is no longer a member */
    | 'left';
  readonly clientId?: ClientId;
  readonly accountId?: AccountId;
  readonly at: number;
};

/** What is known of the other side, checked on this device. */
export type Contact = {
  readonly accountId: AccountId;
  readonly kind: 'person' | 'business';
  /** the pinned account key, base64url */
  readonly accountKey?: string;
  readonly blocked?: boolean;
  readonly displayName?: string;
  /** only if looked up by number or sealed by the person */
  readonly numberStatement?: NumberStatement;
  readonly certificate?: BusinessCertificate;
};

/**
 * The holder of an account. Each call runs inside the transaction that stores what it tells of: returning is agreeing
 * that it is stored, throwing undoes it, and the item comes again. A handler awaits nothing but that transaction.
 */
export interface AccountHandler<Transaction = unknown> {
  message(message: ReceivedMessage, transaction: Transaction): Promise<void>;
  status(update: StatusUpdate, transaction: Transaction): Promise<void>;
  notice(notice: ConversationNotice, transaction: Transaction): Promise<void>;
}

/** A conversation as an app lists it. */
export type Conversation = {
  readonly conversationId: ConversationId;
  readonly kind: ConversationKind;
  readonly phoneNumberId?: NumericId;
  readonly members: readonly {
    readonly accountId: AccountId;
    readonly kind: 'person' | 'business';
  }[];
  readonly generation: number;
  /** false while this device holds no keys of it, or holds them no longer */
  readonly joined: boolean;
  /** milliseconds since 1970; undefined when nothing was said yet */
  readonly lastMessageAt?: number;
  readonly unread: number;
};

/** A message as it is kept on this device: received, or sent with its status. */
export type StoredMessage = {
  readonly conversationId: ConversationId;
  /** where it stands in the conversation on this device; `messages({ before })` takes it */
  readonly order: string;
  readonly messageId: MessageId;
  readonly clientId: ClientId;
  readonly sender: { readonly accountId: AccountId; readonly deviceId: DeviceId };
  /** the own account's, from this device or another */
  readonly own: boolean;
  readonly content: Content;
  /** the relay's time once accepted, else the time of writing */
  readonly at: number;
  /** of own messages sent from this device */
  readonly status?: MessageStatus;
  readonly failure?: FailureReason;
};
