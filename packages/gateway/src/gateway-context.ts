// Everything a request or an event of this gateway works with, put together by start-gateway.ts.

import type { Account } from '@siegel/client';
import type { Database, Queryable } from '@siegel/database';
import type { Attachment, MediaKind } from '@siegel/protocol/content';
import type { NumericId } from '@siegel/protocol/ids';
import type { BusinessProfile, TemplateObject } from '@siegel/protocol/relay';
import type { ContactIds } from './contacts.ts';
import type { NumberInfo } from './inbound/to-webhook.ts';
import type { OutgoingRequests } from './outgoing/outgoing-requests.ts';
import type { TemplateEntry } from './templates/template-entry.ts';

/** Time, chance and waiting, handed in by the entry point. */
export type Clock = {
  /** milliseconds since 1970 */
  now(): number;
  random(count: number): Uint8Array;
  /** Answers how to call it off. */
  schedule(run: () => void, milliseconds: number): () => void;
};

/** What the gateway needs of the firm's account. */
export type BusinessAccount = Pick<Account<Queryable>, 'send' | 'markRead' | 'sendTyping'>;

/** Sealed media at the relay. */
export type Attachments = {
  /** `over-quota`: the firm's blob quota is used up */
  seal(file: {
    bytes: Uint8Array;
    media: MediaKind;
    contentType: string;
    filename?: string;
  }): Promise<{ outcome: 'sealed'; attachment: Attachment } | { outcome: 'over-quota' }>;
  /** `gone`: the relay no longer has it, or it is not what its sender sealed */
  open(
    attachment: Attachment,
  ): Promise<{ outcome: 'opened'; bytes: Uint8Array } | { outcome: 'gone' }>;
};

export type TemplateSubmission =
  | { readonly outcome: 'submitted'; readonly entry: TemplateEntry }
  | { readonly outcome: 'template-invalid'; readonly detail: string }
  | { readonly outcome: 'forbidden' }
  | { readonly outcome: 'quota-reached'; readonly retryAfterSeconds: number };

/** The firm's templates at the relay. */
export type Templates = {
  find(wabaId: NumericId, name: string, language: string): Promise<TemplateEntry | undefined>;
  byId(templateId: string): Promise<TemplateEntry | undefined>;
  list(wabaId: NumericId): Promise<readonly TemplateEntry[]>;
  /** The business key signs it here; the operator reviews it. */
  submit(template: TemplateObject): Promise<TemplateSubmission>;
};

export type AppIdentity = {
  readonly appId: string;
  readonly appSecret: string;
  readonly appName: string;
};

/** Counts and times only: never content, keys, tokens or numbers. */
export type Log = {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};

export type GatewayContext = {
  readonly database: Database;
  readonly business: BusinessProfile;
  readonly account: BusinessAccount;
  readonly attachments: Attachments;
  readonly templates: Templates;
  readonly outgoing: OutgoingRequests;
  readonly app: AppIdentity;
  readonly contactIds: ContactIds;
  /** signs media URLs and paging links; never leaves this gateway */
  readonly secret: Uint8Array;
  readonly clock: Clock;
  readonly log: Log;
  /** where clients reach this gateway; media URLs begin with it */
  readonly publicUrl: () => string;
};

export type OwnNumber = BusinessProfile['numbers'][number];

export const numberById = (business: BusinessProfile, id: string): OwnNumber | undefined =>
  business.numbers.find(({ phoneNumberId }) => phoneNumberId === id);

export const numberInfo = (number: OwnNumber): NumberInfo => ({
  wabaId: number.wabaId,
  phoneNumberId: number.phoneNumberId,
  displayPhoneNumber: number.number.slice(1),
});
