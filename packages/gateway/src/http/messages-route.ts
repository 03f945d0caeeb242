// `POST /{phone-number-id}/messages`: a message, a read mark or a typing indicator. The answer comes only after the message
// is durable: outbox record and log row in one transaction.

import { randomUUID } from 'node:crypto';
import type { Outgoing, Target } from '@siegel/client';
import { parseSend, type SendMessage, type SendResponse } from '@siegel/protocol/cloud-api';
import type { Body } from '@siegel/protocol/content';
import { ClientId } from '@siegel/protocol/ids';
import { type Contact, contactByUserId, contactForNumber } from '../contacts.ts';
import type { GatewayContext, OwnNumber } from '../gateway-context.ts';
import { type Limiter } from '../limiter.ts';
import { resolveMedia } from '../media/outgoing-media.ts';
import { type LogEntry, logMessage, messageByWamid } from '../message-log.ts';
import { readNumber, waIdOf } from '../outbound/read-number.ts';
import { mediaReferences, toContent } from '../outbound/to-content.ts';
import type { TemplateEntry } from '../templates/template-entry.ts';
import { outgoingWamid } from '../wamid.ts';
import { type Answer, refuse, success } from './answer.ts';

type Recipient = { readonly contact: Contact; readonly target: Target };

/** `to` wins over `recipient` when both are there, as on the platform. */
async function recipientOf(
  context: GatewayContext,
  number: OwnNumber,
  message: SendMessage,
): Promise<Recipient | Extract<Answer, { refusal: unknown }>> {
  const { database, contactIds, clock } = context;
  const from = number.phoneNumberId;
  if (message.to === undefined || /^[A-Z]{2}\./.test(message.to)) {
    const contact = await contactByUserId(database, message.recipient ?? message.to ?? '');
    if (contact?.accountId !== undefined) {
      return { contact, target: { from, person: { accountId: contact.accountId } } };
    }
    if (contact?.number !== undefined) {
      return { contact, target: { from, person: { number: contact.number } } };
    }
    // The same words as for one who blocked the firm: an id tells nothing about whether it exists.
    return { refusal: { code: 131026 } };
  }
  const to = readNumber(message.to);
  if (to === undefined) {
    return refuse(131009, 'to is not a phone number with its country code.');
  }
  if (context.business.numbers.some((own) => own.number === to)) {
    return { refusal: { code: 131021 } };
  }
  const contact = await contactForNumber(database, contactIds, to, clock.now());
  return { contact, target: { from, person: { number: to } } };
}

/** What a reply or reaction points to, if it was said in the chat with this person. */
async function pointedAt(
  context: GatewayContext,
  pointed: { wamid: string; number: OwnNumber; contact: Contact; field: string },
): Promise<{ entry: LogEntry } | Extract<Answer, { refusal: unknown }>> {
  const { wamid, number, contact, field } = pointed;
  const entry = await messageByWamid(context.database, wamid);
  const inChat =
    entry !== undefined &&
    entry.phoneNumberId === number.phoneNumberId &&
    (await contactByUserId(context.database, entry.userId))?.userId === contact.userId;
  if (!inChat) return refuse(131009, `${field} names no message of this conversation.`);
  if (entry.messageId === undefined) {
    return refuse(131009, `${field} names a message that has not been sent yet.`);
  }
  return { entry };
}

async function contentOf(
  context: GatewayContext,
  number: OwnNumber,
  message: SendMessage,
): Promise<
  | { body: Body; blobs: readonly string[]; reactsTo?: string; template: TemplateEntry | undefined }
  | Extract<Answer, { refusal: unknown }>
> {
  const { payload } = message;
  const template =
    payload.type === 'template'
      ? await context.templates.find(number.wabaId, payload.value.name, payload.value.language.code)
      : undefined;
  const media = await resolveMedia(context, number.phoneNumberId, mediaReferences(payload));
  if ('refusal' in media) return media;
  const content = toContent({
    payload,
    template,
    attachmentOf: (object) => media.attachments.get(object as never),
  });
  return 'refusal' in content ? content : { ...content, template };
}

async function store(
  context: GatewayContext,
  stored: { message: SendMessage; outgoing: Outgoing; number: OwnNumber; contact: Contact },
): Promise<SendResponse> {
  const { message, outgoing, number, contact } = stored;
  const clientId = ClientId.parse(randomUUID());
  const wamid = outgoingWamid(clientId);
  await context.account.send({ ...outgoing, clientId }, async (transaction) => {
    await logMessage(
      transaction,
      {
        wamid,
        direction: 'out',
        phoneNumberId: number.phoneNumberId,
        userId: contact.userId,
        clientId,
        type: message.payload.type,
        status: 'pending',
        ...(outgoing.template === undefined
          ? {}
          : { templateId: outgoing.template.id, category: outgoing.template.category }),
        ...(message.callbackData === undefined ? {} : { callbackData: message.callbackData }),
      },
      context.clock.now(),
    );
  });
  return {
    messaging_product: 'whatsapp',
    contacts: [
      {
        input: message.to ?? message.recipient ?? '',
        ...(contact.number === undefined ? {} : { wa_id: waIdOf(contact.number) }),
        user_id: contact.userId,
      },
    ],
    messages: [{ id: wamid }],
  };
}

async function send(
  context: GatewayContext,
  number: OwnNumber,
  message: SendMessage,
  automated: boolean,
): Promise<Answer> {
  const recipient = await recipientOf(context, number, message);
  if ('refusal' in recipient) return recipient;
  const { contact, target } = recipient;
  const content = await contentOf(context, number, message);
  if ('refusal' in content) return content;
  const { reactsTo, template } = content;
  const wamid = reactsTo ?? message.inReplyTo;
  const field = reactsTo === undefined ? 'context.message_id' : 'reaction.message_id';
  const pointed =
    wamid === undefined ? undefined : await pointedAt(context, { wamid, number, contact, field });
  if (pointed !== undefined && 'refusal' in pointed) return pointed;
  const outgoing: Outgoing = {
    to: target,
    body: content.body,
    ...(automated ? { automated } : {}),
    ...(content.blobs.length === 0 ? {} : { blobs: content.blobs }),
    ...(pointed?.entry.messageId === undefined ? {} : { inReplyTo: pointed.entry.messageId }),
    ...(template === undefined
      ? {}
      : { template: { id: template.templateId, category: template.object.category } }),
  };
  return { body: await store(context, { message, outgoing, number, contact }) };
}

async function markRead(
  context: GatewayContext,
  number: OwnNumber,
  read: { messageId: string; typing: boolean },
): Promise<Answer> {
  const entry = await messageByWamid(context.database, read.messageId);
  const { conversationId, messageId } = entry ?? {};
  if (
    entry?.direction !== 'in' ||
    entry.phoneNumberId !== number.phoneNumberId ||
    conversationId === undefined ||
    messageId === undefined
  ) {
    return refuse(131009, 'message_id names no message received by this number.');
  }
  await context.account.markRead(conversationId, messageId);
  if (read.typing) context.account.sendTyping(conversationId, true);
  return success;
}

export async function postMessage(
  context: GatewayContext,
  request: {
    number: OwnNumber;
    body: unknown;
    /** a bot said so of itself; people are shown that a machine wrote this */
    automated: boolean;
    media: Limiter;
  },
): Promise<Answer> {
  const { number, body, automated, media } = request;
  const parsed = parseSend(body);
  if (parsed.kind === 'refused') return parsed;
  if (parsed.kind === 'read') return markRead(context, number, parsed.read);
  if (mediaReferences(parsed.message.payload).length === 0) {
    return send(context, number, parsed.message, automated);
  }
  // Files are held in memory while they are sealed, so only a few at a time.
  const run = await media.run(() => send(context, number, parsed.message, automated));
  return run === 'full' ? { refusal: { code: 130429, retryAfterSeconds: 2 } } : run.result;
}
