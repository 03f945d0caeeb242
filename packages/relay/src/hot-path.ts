// Where the two halves of the relay meet: what the hot path (conversations, messages, mailbox) is given, and what it
// owes the rest. `main.ts` hands each side to the other; neither imports the other's files.

import type { TagKey } from '@siegel/crypto/verify';
import type { AccountId, DeviceId, NumericId, PhoneNumber } from '@siegel/protocol/ids';
import type { TemplateCategory, TemplateStatus } from '@siegel/protocol/relay';
import type { BasePorts } from './base-ports.ts';
import type { Events } from './events.ts';
import type { RelaySocket } from './http/relay-socket.ts';
import type { Metrics } from './metrics.ts';

export type DeviceIdentity = {
  readonly accountId: AccountId;
  readonly deviceId: DeviceId;
  readonly account: 'person' | 'business';
};

/** What a submit is decided by; `status` and `category` are those of the newest approved version. */
export type TemplateState = {
  readonly business: AccountId;
  readonly status: TemplateStatus;
  readonly category: TemplateCategory;
};

export type HotPathPorts = BasePorts & {
  readonly events: Events;
  readonly metrics: Metrics;
  /** The key that tags what is accepted from now on. */
  readonly tagKey: TagKey;
  /** Undefined for anything but the token of an unrevoked device (S1, M6). Does not throw on nonsense. */
  readonly authenticate: (token: string) => Promise<DeviceIdentity | undefined>;
  /** Undefined when there is no such template. */
  readonly templateState: (templateId: NumericId) => Promise<TemplateState | undefined>;
  /** The account behind a number, a business's too; undefined when nobody registered it. */
  readonly accountOfNumber: (number: PhoneNumber) => Promise<AccountId | undefined>;
  /** The business behind a phone-number id; undefined when unknown or not enrolled yet. */
  readonly businessOfNumber: (phoneNumberId: NumericId) => Promise<AccountId | undefined>;
  /** Named blobs of this owner stop being orphans; ids of others are passed over. */
  readonly attachBlobs: (owner: AccountId, blobIds: readonly string[]) => Promise<void>;
};

/** Owed by `src/mailbox/`: `createMailboxHub(ports: HotPathPorts): MailboxHub`. */
export type MailboxHub = {
  /** Takes the socket over from the upgrade on; the first frame must be `hello` (M6). */
  readonly acceptSocket: (socket: RelaySocket) => void;
  /** Ends the sockets of these devices with `bye` `revoked`, at once (D3). */
  readonly revokeDevices: (accountId: AccountId, deviceIds: readonly DeviceId[]) => void;
  /** Tells the account's own devices and its contacts' that are connected: `devices-changed`. */
  readonly devicesChanged: (accountId: AccountId) => void;
  /** Sends `bye` `shutting-down` to all and resolves when nothing is under way any more (H3). */
  readonly close: () => Promise<void>;
};

/** Owed by `src/conversations/`: `createConversationDuties(ports: HotPathPorts): ConversationDuties`. */
export type ConversationDuties = {
  /** Marks the leaves of these devices revoked in every conversation of the account (D4). Idempotent. */
  readonly revokeLeaves: (accountId: AccountId, deviceIds: readonly DeviceId[]) => Promise<void>;
  /** Closes every service window of the person: the account key changed or the number moved on (A6). Idempotent. */
  readonly endWindows: (accountId: AccountId) => Promise<void>;
};
