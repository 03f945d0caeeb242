// What the account tells becomes log rows and waiting webhooks, all in the transaction that stores the message itself.
// Only after it is durable does the account acknowledge to the relay (design §3).

import type { AccountHandler, ReceivedMessage, StatusUpdate } from '@siegel/client';
import type { Queryable } from '@siegel/database';
import type { WebhookBody } from '@siegel/protocol/cloud-api';
import type { AccountId, PhoneNumber } from '@siegel/protocol/ids';
import type { BusinessProfile } from '@siegel/protocol/relay';
import {
  bindAccount,
  type Contact,
  type ContactIds,
  chatOf,
  contactByUserId,
  contactForAccount,
  learnProfile,
  personOf,
  rememberChat,
} from '../contacts.ts';
import { numberById, numberInfo, type OwnNumber } from '../gateway-context.ts';
import { failureToRefusal, type TemplateRefusal } from '../inbound/failure-to-refusal.ts';
import { messageToWebhook, statusToWebhook } from '../inbound/to-webhook.ts';
import { plainMimeType } from '../media/media-limits.ts';
import { addReceivedMedia } from '../media/media-store.ts';
import {
  type LogEntry,
  logIncoming,
  logStatus,
  messageById,
  messageByWamid,
} from '../message-log.ts';
import { printable } from '../printable.ts';
import { outgoingWamid } from '../wamid.ts';
import { callbackFor } from '../webhooks/callbacks.ts';
import { enqueueEvent } from '../webhooks/queue.ts';

export type AccountHandlerOptions = {
  readonly business: BusinessProfile;
  readonly contactIds: ContactIds;
  readonly appId: string;
  readonly now: () => number;
  /** grows with every event */
  readonly nextOrder: () => number;
  readonly newEventId: () => string;
  readonly newMediaId: () => string;
  /** the number a statement proves for this account; undefined when it proves none */
  readonly provenNumber?: (
    accountId: AccountId,
    statement: string,
  ) => Promise<PhoneNumber | undefined>;
  /** why the relay refuses a template now, as far as that is known here */
  readonly templateRefusal?: (templateId: string) => TemplateRefusal | undefined;
  /** an event that nobody subscribed to */
  readonly onDropped?: () => void;
};

/** Bodies that are neither said to the firm nor shown. */
const silent = new Set(['receipt', 'typing', 'resend-request', 'resend', 'account-notice', 'sync']);

async function enqueue(
  options: AccountHandlerOptions,
  transaction: Queryable,
  event: { number: OwnNumber; userId: string; body: WebhookBody; mediaId?: string | undefined },
): Promise<void> {
  const { wabaId, phoneNumberId } = event.number;
  const source = { appId: options.appId, wabaId, phoneNumberId };
  if ((await callbackFor(transaction, source)) === undefined) return options.onDropped?.();
  await enqueueEvent(transaction, {
    eventId: options.newEventId(),
    order: options.nextOrder(),
    chat: `${phoneNumberId}/${event.userId}`,
    wabaId,
    phoneNumberId,
    mediaId: event.mediaId,
    body: event.body,
    now: options.now(),
  });
}

/** The person of a conversation. Whoever was first written to by number keeps that entry. */
async function senderOf(
  options: AccountHandlerOptions,
  transaction: Queryable,
  received: ReceivedMessage & { phoneNumberId: OwnNumber['phoneNumberId'] },
): Promise<Contact> {
  const { contactIds: ids, now } = options;
  const { conversationId, phoneNumberId, sender } = received;
  const chat = await chatOf(transaction, conversationId);
  const written = chat && (await contactByUserId(transaction, chat.userId));
  const contact =
    written === undefined
      ? await contactForAccount(transaction, ids, sender.accountId, now())
      : await bindAccount(transaction, ids, {
          contact: written,
          accountId: sender.accountId,
          now: now(),
        });
  if (chat?.userId !== contact.userId) {
    await rememberChat(transaction, conversationId, { phoneNumberId, userId: contact.userId });
  }
  return contact;
}

/** Only what was said in this very chat can be quoted, reacted to or taken back. */
async function spokenOf(
  transaction: Queryable,
  messageId: LogEntry['messageId'],
  chat: { phoneNumberId: string; userId: string },
): Promise<LogEntry | undefined> {
  const entry = messageId && (await messageById(transaction, messageId));
  return entry && entry.phoneNumberId === chat.phoneNumberId && entry.userId === chat.userId
    ? entry
    : undefined;
}

async function message(
  options: AccountHandlerOptions,
  transaction: Queryable,
  received: ReceivedMessage,
): Promise<void> {
  const { content, conversationId, phoneNumberId, clientId, messageId, own } = received;
  const { body } = content;
  const number = phoneNumberId && numberById(options.business, phoneNumberId);
  if (own || number === undefined || phoneNumberId === undefined || silent.has(body.type)) return;
  const contact = await senderOf(options, transaction, { ...received, phoneNumberId });
  const { userId } = contact;
  if (body.type === 'profile') {
    const { displayName, numberStatement } = body;
    const proven = await (numberStatement === undefined
      ? undefined
      : options.provenNumber?.(received.sender.accountId, numberStatement));
    await learnProfile(transaction, userId, { name: printable(displayName), number: proven });
    return;
  }
  const base = { phoneNumberId, userId, conversationId, clientId, messageId, type: body.type };
  const wamid = await logIncoming(transaction, base, options.now());
  if (wamid === undefined) return;
  const quoted = await spokenOf(transaction, content.inReplyTo, base);
  const replaced = await spokenOf(transaction, content.replaces, base);
  const mediaId = body.type === 'attachment' ? options.newMediaId() : undefined;
  if (body.type === 'attachment' && mediaId !== undefined) {
    await addReceivedMedia(transaction, {
      mediaId,
      phoneNumberId,
      mimeType: plainMimeType(body.contentType) ?? 'application/octet-stream',
      filename: printable(body.filename),
      attachment: body,
      now: options.now(),
    });
  }
  const webhook = messageToWebhook({
    received,
    wamid,
    number: numberInfo(number),
    person: personOf(contact),
    quoted: quoted && { wamid: quoted.wamid, fromFirm: quoted.direction === 'out' },
    // A person takes back or changes what itself said, never what the firm said.
    replaced: replaced?.direction === 'in' ? replaced.wamid : undefined,
    media: mediaId === undefined ? undefined : { mediaId },
  });
  if (webhook !== undefined)
    await enqueue(options, transaction, { number, userId, body: webhook, mediaId });
}

/** The conversation behind a message sent by number has become known. */
async function bindConversation(
  options: AccountHandlerOptions,
  transaction: Queryable,
  bound: { entry: LogEntry; conversationId: NonNullable<LogEntry['conversationId']> },
): Promise<string> {
  const { entry, conversationId } = bound;
  const { phoneNumberId, userId } = entry;
  const chat = await chatOf(transaction, conversationId);
  if (chat === undefined) {
    await rememberChat(transaction, conversationId, { phoneNumberId, userId });
    return userId;
  }
  if (chat.userId === userId) return userId;
  const [written, known] = [
    await contactByUserId(transaction, userId),
    await contactByUserId(transaction, chat.userId),
  ];
  if (written === undefined || known?.accountId === undefined) return userId;
  const contact = await bindAccount(transaction, options.contactIds, {
    contact: written,
    accountId: known.accountId,
    now: options.now(),
  });
  return contact.userId;
}

async function status(
  options: AccountHandlerOptions,
  transaction: Queryable,
  update: StatusUpdate,
): Promise<void> {
  const wamid = outgoingWamid(update.clientId);
  const entry = await messageByWamid(transaction, wamid);
  // Receipts, profiles and the like have client ids too, but no entry.
  if (entry === undefined) return;
  const number = numberById(options.business, entry.phoneNumberId);
  const { conversationId, messageId, at, failure } = update;
  const userId =
    conversationId === undefined
      ? entry.userId
      : await bindConversation(options, transaction, { entry, conversationId });
  const news = await logStatus(transaction, {
    wamid,
    status: update.status,
    failure,
    conversationId,
    messageId,
    at,
  });
  if (!news || update.status === 'pending' || number === undefined) return;
  const contact = await contactByUserId(transaction, userId);
  const refusedTemplate =
    entry.templateId === undefined ? undefined : options.templateRefusal?.(entry.templateId);
  const body = statusToWebhook({
    wamid,
    status: update.status,
    at,
    number: numberInfo(number),
    person: contact === undefined ? { userId } : personOf(contact),
    callbackData: entry.callbackData,
    refusal: update.status === 'failed' ? failureToRefusal(failure, refusedTemplate) : undefined,
  });
  await enqueue(options, transaction, { number, userId, body });
}

export const createAccountHandler = (
  options: AccountHandlerOptions,
): AccountHandler<Queryable> => ({
  message: (received, transaction) => message(options, transaction, received),
  status: (update, transaction) => status(options, transaction, update),
  notice: async () => {},
});
