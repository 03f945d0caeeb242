// What an opened content does: a message is stored and told, a receipt moves a status, a request is answered. Everything
// lands in the draft, so that it becomes true together with the session that opened it.

import { verifyCommitment } from '@siegel/crypto';
import {
  type Body,
  type Content,
  ContentMalformed,
  decodeContent,
  envelopeKindOf,
  messageIdOf,
} from '@siegel/protocol/content';
import type { DeliveredMessage, TemplateObject } from '@siegel/protocol/relay';
import type { ReceivedMessage } from '../account-api.ts';
import { type EngineContext, put } from '../engine-context.ts';
import { OwedReceipt, ReceivedRecord } from '../engine-records.ts';
import { takeCertificate } from '../own-certificates.ts';
import { owedReceiptKey } from '../receipts.ts';
import { encodeRecord } from '../record.ts';
import { answerResendRequest } from '../resend.ts';
import { checkTemplate } from './check-template.ts';
import { change, contactOf, type Draft, tellNotice } from './draft.ts';
import { addMessage } from './message-store.ts';
import { forgetParked, readParkedBy } from './parked-items.ts';
import { takeProfile } from './take-profile.ts';
import { takeReceipts } from './take-receipts.ts';

/** A content whose envelope, sender and commitment have been checked. */
export type OpenedContent = {
  readonly item: DeliveredMessage;
  readonly content: Uint8Array;
  readonly frankingKey: Uint8Array;
};

export const receivedKey = (item: DeliveredMessage): string =>
  `${item.conversationId}/${item.sender.accountId}/${item.clientId}`;

/** Stored, or refused with a notice; either way the item is done with. */
export async function takeContent(
  context: EngineContext,
  draft: Draft,
  opened: OpenedContent,
): Promise<void> {
  const { item } = opened;
  const content = read(opened.content);
  // The class decides what it costs, the kind what it may hold: a content under another kind than its own is not shown.
  if (content === undefined || envelopeKindOf(content.body) !== item.kind) {
    refuse(context, draft, item);
    return;
  }
  markReceived(draft, item, undefined);
  if (item.class === 'message') await takeMessage(context, draft, { ...opened, decoded: content });
  else await takeControl(context, draft, { ...opened, decoded: content });
}

function read(bytes: Uint8Array): Content | undefined {
  try {
    return decodeContent(bytes);
  } catch (error) {
    if (error instanceof ContentMalformed) return undefined;
    throw error;
  }
}

function refuse(context: EngineContext, draft: Draft, item: DeliveredMessage): void {
  markReceived(draft, item, undefined);
  const { accountId } = item.sender;
  tellNotice(context, draft, { notice: 'message-refused', accountId, clientId: item.clientId });
}

function markReceived(draft: Draft, item: DeliveredMessage, order: string | undefined): void {
  const record = { v: 1 as const, ...(order === undefined ? {} : { order }) };
  put(draft.step, 'received', receivedKey(item), encodeRecord(ReceivedRecord, record));
}

type Decoded = OpenedContent & { readonly decoded: Content };

async function takeMessage(context: EngineContext, draft: Draft, opened: Decoded): Promise<void> {
  const { item, decoded } = opened;
  let template: TemplateObject | undefined;
  if (decoded.body.type === 'template') {
    const sender = await contactOf(context, draft, item.sender.accountId);
    const checked = await checkTemplate(context, {
      header: item.template,
      body: decoded.body,
      sender,
    });
    if (checked.outcome === 'refused') {
      refuse(context, draft, item);
      return;
    }
    template = checked.template;
  }
  const received = await describe(context, draft, opened);
  const order = context.nextOrder(draft.record?.lastOrder);
  const { messageId, own } = received;
  addMessage(draft, {
    v: 1,
    conversationId: item.conversationId,
    order,
    messageId,
    clientId: item.clientId,
    ...item.sender,
    own,
    kind: item.kind,
    content: opened.content,
    at: item.acceptedAt,
    sequence: item.sequence,
    ...(item.template === undefined ? {} : { template: item.template }),
    commitment: item.commitment,
    frankingKey: opened.frankingKey,
    tag: item.tag,
    read: own,
    // Written on another device of this account: the relay has taken it.
    ...(own ? { status: 'sent' as const } : {}),
  });
  markReceived(draft, item, order);
  if (!own) {
    change(draft, { unread: (draft.record?.unread ?? 0) + 1, answered: true });
    const owed: OwedReceipt = {
      v: 1,
      messageId,
      status: 'delivered',
      at: context.environment.now(),
    };
    const key = owedReceiptKey(item.conversationId, order);
    put(draft.step, 'outbox', key, encodeRecord(OwedReceipt, owed));
    draft.step.then.push(() => context.queues.oweReceipt(item.conversationId));
  }
  draft.step.tell.push({
    type: 'message',
    message: template === undefined ? received : { ...received, template },
  });
}

async function describe(
  context: EngineContext,
  draft: Draft,
  { item, content, decoded }: Decoded,
): Promise<ReceivedMessage> {
  const messageId = await messageIdOf({
    sender: item.sender.accountId,
    conversation: item.conversationId,
    content,
    salt: decoded.salt,
    sha256: (bytes) => context.provider.sha256(bytes),
  });
  const phoneNumberId = draft.record?.phoneNumberId;
  return {
    conversationId: item.conversationId,
    conversation: draft.record?.kind ?? 'direct',
    ...(phoneNumberId === undefined ? {} : { phoneNumberId }),
    messageId,
    clientId: item.clientId,
    sender: item.sender,
    own: item.sender.accountId === context.identity.accountId,
    content: decoded,
    acceptedAt: item.acceptedAt,
  };
}

async function takeControl(context: EngineContext, draft: Draft, opened: Decoded): Promise<void> {
  const { body } = opened.decoded;
  switch (body.type) {
    case 'receipt':
      await takeReceipts(context, draft, { item: opened.item, receipt: body });
      return;
    case 'resend-request':
      await answerResendRequest(context, draft, { item: opened.item, request: body });
      return;
    case 'resend':
      await takeResend(context, draft, { item: opened.item, resend: body });
      return;
    case 'profile':
      await takeProfile(context, draft, { item: opened.item, profile: body });
      break;
    case 'sync':
      if (await takeCertificate(context, draft, { item: opened.item, body })) return;
      break;
    default:
      break;
  }
  draft.step.tell.push({ type: 'message', message: await describe(context, draft, opened) });
}

/**
 * A content sent again is the first one only if it opens the commitment of the first envelope, which the relay has taken,
 * charged and tagged. So nothing can be shown that was smuggled past as control.
 */
async function takeResend(
  context: EngineContext,
  draft: Draft,
  { item, resend }: { item: DeliveredMessage; resend: Extract<Body, { type: 'resend' }> },
): Promise<void> {
  const parked = await readParkedBy(context, item.conversationId, {
    accountId: item.sender.accountId,
    clientId: resend.clientId,
  });
  const first = parked?.record.item;
  if (parked === undefined || first?.type !== 'message') return;
  const { content, frankingKey } = resend;
  if (!verifyCommitment(content, frankingKey, first.commitment)) return;
  forgetParked(draft, parked.key);
  await takeContent(context, draft, { item: first, content, frankingKey });
}
