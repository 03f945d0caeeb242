// Content → webhook body. Pure: ids, names and the media id are looked up before. Undefined is what no webhook tells of.

import type { ReceivedMessage } from '@siegel/client';
import {
  type CloudApiRefusal,
  type InboundMessage,
  type WebhookBody,
  type WebhookContact,
  type WebhookMedia,
  webhookError,
} from '@siegel/protocol/cloud-api';
import type { Attachment, Body } from '@siegel/protocol/content';

/** The firm's number an event is about. */
export type NumberInfo = {
  readonly wabaId: string;
  readonly phoneNumberId: string;
  /** digits, without the plus sign */
  readonly displayPhoneNumber: string;
};

/** The person an event is about. */
export type PersonInfo = {
  readonly userId: string;
  /** digits; only if the firm knows the number */
  readonly waId?: string;
  readonly name?: string;
};

const seconds = (milliseconds: number): string => String(Math.floor(milliseconds / 1000));

/** `contacts[]` stands on statuses too: one client fails without it. */
function contactOf({ userId, waId, name }: PersonInfo): WebhookContact {
  return {
    profile: name === undefined ? {} : { name },
    ...(waId === undefined ? {} : { wa_id: waId }),
    user_id: userId,
  };
}

function envelope(number: NumberInfo, value: Record<string, unknown>): WebhookBody {
  return {
    object: 'whatsapp_business_account',
    entry: [
      {
        id: number.wabaId,
        changes: [
          {
            field: 'messages',
            value: {
              messaging_product: 'whatsapp',
              metadata: {
                display_phone_number: number.displayPhoneNumber,
                phone_number_id: number.phoneNumberId,
              },
              ...value,
            },
          },
        ],
      },
    ],
  };
}

export type InboundMedia = { readonly mediaId: string; readonly sha256?: string };

function mediaOf(attachment: Attachment, media: InboundMedia): Record<string, unknown> {
  const { contentType, caption, filename, voice, media: kind } = attachment;
  const value: WebhookMedia = {
    id: media.mediaId,
    mime_type: contentType,
    ...(media.sha256 === undefined ? {} : { sha256: media.sha256 }),
    ...(caption ? { caption } : {}),
    ...(kind === 'document' && filename ? { filename } : {}),
    ...(kind === 'audio' ? { voice: voice === true } : {}),
    ...(kind === 'sticker' ? { animated: false } : {}),
  };
  return { type: kind, [kind]: value };
}

const unsupported = (type: string): Record<string, unknown> => ({
  type: 'unsupported',
  unsupported: { type },
  errors: [webhookError({ code: 131051, details: 'Message type is not currently supported.' })],
});

/** The `type` and payload of what was said; undefined for what is not a message to the firm. */
function payloadOf(
  body: Body,
  media: InboundMedia | undefined,
  target: string | undefined,
): Record<string, unknown> | undefined {
  switch (body.type) {
    case 'text':
      return { type: 'text', text: { body: body.text } };
    case 'attachment':
      return media === undefined ? unsupported(body.media) : mediaOf(body, media);
    case 'location': {
      const { type: _, ...location } = body;
      return { type: 'location', location };
    }
    case 'reaction':
      // The message reacted to is one this gateway never saw: nothing to tell of.
      return target === undefined
        ? undefined
        : {
            type: 'reaction',
            reaction: { message_id: target, ...(body.emoji === '' ? {} : { emoji: body.emoji }) },
          };
    case 'choice':
      return choicePayload(body);
    case 'delete':
      return target === undefined
        ? undefined
        : { type: 'revoke', revoke: { original_message_id: target } };
    case 'unknown':
      return unsupported('unknown');
    case 'template':
    case 'buttons':
    case 'list':
      return unsupported(body.type);
    default:
      return undefined;
  }
}

function choicePayload(body: Extract<Body, { type: 'choice' }>): Record<string, unknown> {
  const { id, title, description } = body;
  switch (body.of) {
    case 'template-button':
      return { type: 'button', button: { payload: id, text: title } };
    case 'button':
      return {
        type: 'interactive',
        interactive: { type: 'button_reply', button_reply: { id, title } },
      };
    case 'list':
      return {
        type: 'interactive',
        interactive: {
          type: 'list_reply',
          list_reply: { id, title, ...(description === undefined ? {} : { description }) },
        },
      };
  }
}

/** The message that `inReplyTo` names, as far as the log knows it. */
export type Quoted = { readonly wamid: string; readonly fromFirm: boolean };

export type MessageWebhookInput = {
  readonly received: Pick<ReceivedMessage, 'content' | 'acceptedAt'>;
  readonly wamid: string;
  readonly number: NumberInfo;
  readonly person: PersonInfo;
  readonly quoted?: Quoted | undefined;
  /** wamid of the message that `replaces` names */
  readonly replaced?: string | undefined;
  readonly media?: InboundMedia | undefined;
};

export function messageToWebhook(input: MessageWebhookInput): WebhookBody | undefined {
  const { received, number, person, quoted, replaced, media } = input;
  const { body, replaces } = received.content;
  const target = body.type === 'reaction' ? quoted?.wamid : replaced;
  const said = payloadOf(body, media, target);
  if (said === undefined) return undefined;
  const isEdit = replaces !== undefined && body.type !== 'delete' && replaced !== undefined;
  const context =
    quoted === undefined || body.type === 'reaction'
      ? undefined
      : {
          from: quoted.fromFirm ? number.displayPhoneNumber : person.waId,
          id: quoted.wamid,
        };
  const payload = isEdit
    ? { type: 'edit', edit: { original_message_id: replaced, message: said } }
    : said;
  const message = {
    ...(person.waId === undefined ? {} : { from: person.waId }),
    from_user_id: person.userId,
    id: input.wamid,
    timestamp: seconds(received.acceptedAt),
    ...(context === undefined ? {} : { context }),
    ...payload,
  } as unknown as InboundMessage;
  return envelope(number, { contacts: [contactOf(person)], messages: [message] });
}

export type StatusWebhookInput = {
  readonly wamid: string;
  readonly status: 'sent' | 'delivered' | 'read' | 'played' | 'failed';
  /** milliseconds since 1970 */
  readonly at: number;
  readonly number: NumberInfo;
  readonly person: PersonInfo;
  readonly callbackData?: string | undefined;
  readonly refusal?: CloudApiRefusal | undefined;
};

export function statusToWebhook(input: StatusWebhookInput): WebhookBody {
  const { wamid, status, at, number, person, callbackData, refusal } = input;
  return envelope(number, {
    contacts: [contactOf(person)],
    statuses: [
      {
        id: wamid,
        status,
        timestamp: seconds(at),
        ...(person.waId === undefined ? {} : { recipient_id: person.waId }),
        recipient_user_id: person.userId,
        recipient_type: 'individual',
        ...(callbackData === undefined ? {} : { biz_opaque_callback_data: callbackData }),
        ...(status === 'failed' ? { errors: [webhookError(refusal ?? { code: 131000 })] } : {}),
      },
    ],
  });
}
