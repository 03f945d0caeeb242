// An account on one device, put together: outbox, inbox and conversations over one store and one connection.

import type { CryptoProvider, Engine } from '@siegel/crypto';
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
  AccountHandler,
  Contact,
  Conversation,
  Outgoing,
  StoredMessage,
} from './account-api.ts';
import type { EngineLock } from './engine-lock.ts';
import type { Environment } from './environment.ts';
import type { RelayConnection } from './relay-connection.ts';
import type { Store } from './store.ts';

export type AccountOptions<Transaction = unknown> = Environment & {
  readonly store: Store<Transaction>;
  /** with the device's token */
  readonly connection: RelayConnection;
  readonly provider: CryptoProvider;
  /** made from the provider when left out; several accounts of one process may share it */
  readonly engine?: Engine;
  /** the operator's public keys this account has pinned, base64url */
  readonly operatorKeys: readonly string[];
  readonly handler: AccountHandler<Transaction>;
  /** the right to be the store's only engine; without it the caller vouches for that */
  readonly lock?: EngineLock;
};

export type LookUp =
  | {
      readonly outcome: 'person' | 'business';
      readonly contact: Contact;
      readonly phoneNumberId?: NumericId;
    }
  | { readonly outcome: 'not-found' | 'forbidden' | 'rate-limited' };

/** An open account. It sends and receives by itself until it is closed. */
export interface Account<Transaction = unknown> extends AsyncDisposable {
  readonly accountId: AccountId;
  readonly deviceId: DeviceId;
  /**
   * Stores the message, durable, and answers; sending goes on by itself, in the order of these calls. `within` runs in the
   * storing transaction. A client id that was sent before is not sent again.
   */
  send(
    outgoing: Outgoing,
    within?: (transaction: Transaction, clientId: ClientId) => Promise<void>,
  ): Promise<{ readonly clientId: ClientId }>;
  /** Not kept: it is sent now or never. */
  sendTyping(conversationId: ConversationId, active: boolean): void;
  /** Read receipts for all unread messages up to this one. */
  markRead(conversationId: ConversationId, upTo: MessageId): Promise<void>;
  conversations(): Promise<readonly Conversation[]>;
  /** Newest first; `before` is the `order` of the last one of the page before. */
  messages(
    conversationId: ConversationId,
    page: { readonly before?: string; readonly limit: number },
  ): Promise<readonly StoredMessage[]>;
  message(messageId: MessageId): Promise<StoredMessage | undefined>;
  contact(accountId: AccountId): Promise<Contact | undefined>;
  block(accountId: AccountId): Promise<void>;
  unblock(accountId: AccountId): Promise<void>;
  lookUp(number: PhoneNumber): Promise<LookUp>;
  /** Main device only: signs the next list without that device and removes its leaves. */
  removeDevice(deviceId: DeviceId): Promise<void>;
  /** Joins by external commit whatever conversation of the account this device is not in yet; answers how many. */
  joinAllConversations(): Promise<number>;
  /** Resolves when nothing is waiting to be sent and everything received is stored. */
  settled(): Promise<void>;
  close(): Promise<void>;
}
