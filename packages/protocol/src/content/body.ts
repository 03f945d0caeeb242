// What a message can be, as people and businesses know it. Everything here is sealed; the relay cannot name it.

import * as z from 'zod/mini';
import { ClientId, ConversationId, MessageId, NumericId } from '../ids.ts';
import { limits } from '../limits.ts';
import { octets } from './mimi.ts';

const line = (max: number) => z.string().check(z.maxLength(max));
const required = (max: number) => z.string().check(z.minLength(1), z.maxLength(max));

export const Text = z.object({
  type: z.literal('text'),
  text: required(limits.textCharsMax),
  /** the sender wants its first link shown with a preview */
  preview: z.optional(z.boolean()),
});

/** With `inReplyTo`: the message reacted to. An empty emoji takes the reaction back. */
export const Reaction = z.object({ type: z.literal('reaction'), emoji: line(32) });

/** With `replaces`: the message to be deleted for all. */
export const Delete = z.object({ type: z.literal('delete') });

export const MediaKind = z.enum(['image', 'video', 'audio', 'document', 'sticker']);
export type MediaKind = z.infer<typeof MediaKind>;

/** A sealed blob at the relay and everything needed to open it (RFC 8188 records; see @siegel/crypto). */
export const Attachment = z.object({
  type: z.literal('attachment'),
  media: MediaKind,
  contentType: required(127),
  blobId: required(22),
  blobSecret: required(22),
  /** octets of the plaintext */
  bytes: z.int().check(z.minimum(0)),
  /** octets as stored at the relay */
  sealedBytes: z.int().check(z.minimum(1)),
  key: octets(64, 16),
  /** SHA-256 over the sealed octets */
  sealedSha256: octets(32, 32),
  filename: z.optional(line(240)),
  caption: z.optional(line(limits.captionCharsMax)),
  voice: z.optional(z.boolean()),
  width: z.optional(z.int()),
  height: z.optional(z.int()),
});
export type Attachment = z.infer<typeof Attachment>;

/** A value for a template parameter, already bounded by the template's own `charsMax`. */
export const TemplateValue = z.object({
  name: required(60),
  type: z.enum(['text', 'currency', 'date-time']),
  /** what is shown when the device cannot format the value itself */
  text: line(limits.templateParameterCharsMax),
  /** currency: ISO 4217 code and thousandths; date-time: seconds since 1970 */
  currency: z.optional(z.object({ code: required(3), amount1000: z.int() })),
  at: z.optional(z.int()),
});
export type TemplateValue = z.infer<typeof TemplateValue>;

export const Location = z.object({
  type: z.literal('location'),
  latitude: z.number().check(z.minimum(-90), z.maximum(90)),
  longitude: z.number().check(z.minimum(-180), z.maximum(180)),
  name: z.optional(line(100)),
  address: z.optional(line(300)),
});
export type Location = z.infer<typeof Location>;

/** Hash and values only: the device fetches the public object, checks it and renders (design §4). */
export const Template = z.object({
  type: z.literal('template'),
  templateId: NumericId,
  /** SHA-256 over the canonical form */
  hash: octets(32, 32),
  header: z.optional(
    z.union([
      z.object({ values: z.array(TemplateValue).check(z.maxLength(10)) }),
      z.object({ attachment: Attachment }),
      z.object({ location: Location }),
    ]),
  ),
  body: z.array(TemplateValue).check(z.maxLength(30)),
  /** by index of the button */
  buttons: z
    .array(
      z.object({
        index: z.int().check(z.minimum(0), z.maximum(9)),
        text: z.optional(line(1024)),
        payload: z.optional(line(256)),
      }),
    )
    .check(z.maxLength(10)),
});
export type Template = z.infer<typeof Template>;

const interactive = {
  header: z.optional(
    z.union([z.object({ text: required(60) }), z.object({ attachment: Attachment })]),
  ),
  body: required(4096),
  footer: z.optional(line(60)),
};

export const Buttons = z.object({
  type: z.literal('buttons'),
  ...interactive,
  buttons: z
    .array(z.object({ id: required(256), title: required(20) }))
    .check(z.minLength(1), z.maxLength(3)),
});

export const List = z.object({
  type: z.literal('list'),
  ...interactive,
  button: required(20),
  sections: z
    .array(
      z.object({
        title: z.optional(line(24)),
        rows: z
          .array(
            z.object({ id: required(200), title: required(24), description: z.optional(line(72)) }),
          )
          .check(z.minLength(1), z.maxLength(10)),
      }),
    )
    .check(z.minLength(1), z.maxLength(10)),
});

/** A person's tap, with `inReplyTo` the message that offered it. */
export const Choice = z.object({
  type: z.literal('choice'),
  of: z.enum(['button', 'list', 'template-button']),
  id: required(256),
  title: required(limits.textCharsMax),
  description: z.optional(line(72)),
});

export const ReceiptStatus = z.enum(['delivered', 'read', 'played']);
export type ReceiptStatus = z.infer<typeof ReceiptStatus>;

/** A list, so that one control message answers many (media type of draft-mahy-mimi-message-status). */
export const Receipt = z.object({
  type: z.literal('receipt'),
  statuses: z
    .array(z.object({ messageId: MessageId, status: ReceiptStatus, at: z.int() }))
    .check(z.minLength(1), z.maxLength(500)),
});

export const Typing = z.object({ type: z.literal('typing'), active: z.boolean() });

/** "I could not open these": the sender seals the same content again under the same client id. */
export const ResendRequest = z.object({
  type: z.literal('resend-request'),
  clientIds: z.array(ClientId).check(z.minLength(1), z.maxLength(100)),
});

/**
 * Answers a resend request: the content once more, in a control message, since the relay took and charged it already. The
 * franking key proves it against the commitment of the first envelope; anything else is not shown.
 */
export const Resend = z.object({
  type: z.literal('resend'),
  clientId: ClientId,
  content: octets(60 * 1024, 1),
  frankingKey: octets(32, 32),
});

/** A line about the account itself: its devices, its key. */
export const AccountNotice = z.object({
  type: z.literal('account-notice'),
  notice: z.enum(['device-added', 'device-removed', 'account-key-changed', 'number-changed']),
  deviceId: z.optional(z.int()),
});

/** Who I am, sealed: never in a leaf. A person decides whether its number statement is in it. */
export const Profile = z.object({
  type: z.literal('profile'),
  displayName: z.optional(line(75)),
  numberStatement: z.optional(line(limits.jwsBytesMax)),
  certificate: z.optional(line(limits.jwsBytesMax)),
});

/** Between devices of one account, in its own conversation. */
export const Sync = z.object({
  type: z.literal('sync'),
  sync: z.union([
    z.object({ kind: z.literal('read'), conversationId: ConversationId, upTo: MessageId }),
    z.object({ kind: z.literal('setting'), name: required(64), value: line(4096) }),
    z.object({
      kind: z.literal('draft'),
      conversationId: ConversationId,
      text: line(limits.textCharsMax),
    }),
  ]),
});

/** Of a newer peer: kept, shown as "not shown by this version", never dropped. */
export const Unknown = z.object({ type: z.literal('unknown'), contentType: line(127) });

export const Body = z.discriminatedUnion('type', [
  Text,
  Reaction,
  Delete,
  Attachment,
  Location,
  Template,
  Buttons,
  List,
  Choice,
  Receipt,
  Typing,
  ResendRequest,
  Resend,
  AccountNotice,
  Profile,
  Sync,
  Unknown,
]);
export type Body = z.infer<typeof Body>;
