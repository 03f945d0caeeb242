// The way out: a message is durable before anything is sent, sealed once and submitted under one client id until the relay
// has answered. Order within a conversation is the order of send().

import {
  type Body,
  type Content,
  ContentMalformed,
  encodeContent,
  envelopeKindOf,
  messageIdOf,
} from '@siegel/protocol/content';
import { SiegelError } from '@siegel/protocol/errors';
import { ClientId, type ConversationId } from '@siegel/protocol/ids';
import type { FailureReason, Outgoing } from './account-api.ts';
import { type Draft, openDraft, storeDraft } from './conversations/draft.ts';
import { addMessage, readMessage, tellStatus } from './conversations/message-store.ts';
import { knownConversation, type TargetKey, targetKey } from './conversations/targets.ts';
import { createStep, type EngineContext, put, remove, storeStep } from './engine-context.ts';
import { engineLimits } from './engine-limits.ts';
import { OutboxRecord, OwnRecord } from './engine-records.ts';
import { freshId } from './fresh-id.ts';
import { decodeRecord, encodeRecord } from './record.ts';

/** What this device wrote, by client id: against sending twice, and to find it when somebody asks again. */
export const ownKey = (clientId: ClientId): string => `own/${clientId}`;

export async function readOutbox(
  context: EngineContext,
  order: string,
): Promise<OutboxRecord | undefined> {
  const bytes = await context.store.get('outbox', order);
  return bytes && decodeRecord(OutboxRecord, bytes, 'outbox');
}

export type Within = (transaction: unknown, clientId: ClientId) => Promise<void>;

export async function send(
  context: EngineContext,
  outgoing: Outgoing,
  within?: Within,
): Promise<{ clientId: ClientId }> {
  if (context.queues.size() >= engineLimits.outboxMax) {
    throw new SiegelError('overloaded', 'the outbox is full');
  }
  const record = recordOf(context, outgoing);
  const { clientId } = record;
  const key = targetKey(outgoing.to);
  // Entered at once, so that two calls keep their order whatever is awaited inside.
  await context.lanes.enter(key, async () => {
    if ((await context.store.get('received', ownKey(clientId))) !== undefined) return;
    const conversationId = await knownConversation(context, outgoing.to);
    const stored = (transaction: unknown) => within?.(transaction, clientId) ?? Promise.resolve();
    if (conversationId === undefined) await keepForTarget(context, { record, key, stored });
    else if (conversationId === key) await keep(context, { conversationId, record, stored });
    else {
      await context.lanes.enter(conversationId, () =>
        keep(context, { conversationId, record, stored }),
      );
    }
  });
  return { clientId };
}

/** Encoded here and never again, so that salt and message id stay the same through every retry. */
function recordOf(context: EngineContext, outgoing: Outgoing): OutboxRecord {
  const { body, template, inReplyTo, replaces, automated, blobs } = outgoing;
  const kind = envelopeKindOf(body);
  const named = body.type === 'template' ? body.templateId : undefined;
  if (template?.id !== named) {
    throw new SiegelError(
      'request-invalid',
      'a template message needs its template, no other does',
    );
  }
  const content: Content = {
    salt: context.provider.randomBytes(16),
    body,
    ...(inReplyTo === undefined ? {} : { inReplyTo }),
    ...(replaces === undefined ? {} : { replaces }),
    ...(automated === true ? { automated } : {}),
  };
  return {
    v: 1,
    order: context.nextOrder(),
    clientId: outgoing.clientId ?? ClientId.parse(freshId(context.provider)),
    to: outgoing.to,
    class: kind === 'free-form' || kind === 'template' ? 'message' : 'control',
    kind,
    ...(template === undefined ? {} : { template }),
    ...(blobs === undefined ? {} : { blobs: [...blobs] }),
    content: encoded(content),
    createdAt: context.environment.now(),
  };
}

function encoded(content: Content): Uint8Array {
  try {
    return encodeContent(content);
  } catch (error) {
    if (error instanceof ContentMalformed) {
      throw new SiegelError('request-invalid', 'content', { cause: error });
    }
    throw error;
  }
}

type Stored = (transaction: unknown) => Promise<void>;

async function keepForTarget(
  context: EngineContext,
  { record, key, stored }: { record: OutboxRecord; key: TargetKey; stored: Stored },
): Promise<void> {
  const step = createStep();
  put(step, 'outbox', record.order, encodeRecord(OutboxRecord, record));
  put(step, 'received', ownKey(record.clientId), encodeRecord(OwnRecord, { v: 1 }));
  step.within = stored;
  step.then.push(() => context.queues.add(key, record.order));
  await storeStep(context, step);
}

async function keep(
  context: EngineContext,
  request: { conversationId: ConversationId; record: OutboxRecord; stored: Stored },
): Promise<void> {
  const draft = await openDraft(context, request.conversationId);
  if (draft.record === undefined) throw new SiegelError('not-found', 'conversation');
  await addToConversation(context, draft, request.record);
  draft.step.within = request.stored;
  await storeDraft(context, draft);
}

/** The message gets its place and id in its conversation; what is shown is listed at once as pending. */
export async function addToConversation(
  context: EngineContext,
  draft: Draft,
  record: OutboxRecord,
): Promise<void> {
  const { conversationId } = draft;
  const { accountId, deviceId } = context.identity;
  // Only inside the lane is it certain that nothing with a later place was sealed: overtaken, it could not be opened any more.
  let placed: OutboxRecord = { ...record, order: context.nextOrder(), to: { conversationId } };
  if (record.class === 'message') {
    const order = context.nextOrder(draft.record?.lastOrder);
    placed = { ...placed, messageOrder: order };
    addMessage(draft, {
      v: 1,
      conversationId,
      order,
      messageId: await messageIdOf({
        sender: accountId,
        conversation: conversationId,
        content: record.content,
        salt: saltOf(record.content),
        sha256: (bytes) => context.provider.sha256(bytes),
      }),
      clientId: record.clientId,
      accountId,
      deviceId,
      own: true,
      kind: record.kind,
      content: record.content,
      at: record.createdAt,
      ...(record.template === undefined ? {} : { template: record.template }),
      status: 'pending',
      read: true,
    });
  }
  const own: OwnRecord = {
    v: 1,
    conversationId,
    ...(placed.messageOrder === undefined ? {} : { messageOrder: placed.messageOrder }),
  };
  put(draft.step, 'received', ownKey(record.clientId), encodeRecord(OwnRecord, own));
  put(draft.step, 'outbox', placed.order, encodeRecord(OutboxRecord, placed));
  draft.step.then.push(() => context.queues.add(conversationId, placed.order));
}

/** The salt is the first field of the container: an array of seven, then sixteen octets (MIMI content §3.1). */
const saltOf = (content: Uint8Array): Uint8Array => content.subarray(2, 18);

/** A control message of the engine's own, sent in its turn like any other. */
export function addControl(context: EngineContext, draft: Draft, body: Body): void {
  addControlFor(context, draft, { body });
}

/** The same; with `readers`, it is not sealed in a group with any other account. */
export function addControlFor(
  context: EngineContext,
  draft: Draft,
  { body, ...only }: { readonly body: Body } & Pick<OutboxRecord, 'readers'>,
): void {
  const { conversationId } = draft;
  const record: OutboxRecord = {
    v: 1,
    order: context.nextOrder(),
    clientId: ClientId.parse(freshId(context.provider)),
    to: { conversationId },
    class: 'control',
    kind: envelopeKindOf(body),
    content: encoded({ salt: context.provider.randomBytes(16), body }),
    createdAt: context.environment.now(),
    ...only,
  };
  put(draft.step, 'outbox', record.order, encodeRecord(OutboxRecord, record));
  draft.step.then.push(() => context.queues.add(conversationId, record.order));
}

/** Ends a message that will not be sent, and says why. */
export async function failMessage(
  context: EngineContext,
  draft: Draft,
  { record, failure }: { readonly record: OutboxRecord; readonly failure: FailureReason },
): Promise<void> {
  const { conversationId } = draft;
  remove(draft.step, 'outbox', record.order);
  draft.step.then.push(() => context.queues.drop(conversationId, record.order));
  if (record.messageOrder === undefined) return;
  const message = await readMessage(context, conversationId, record.messageOrder);
  if (message === undefined) return;
  tellStatus(draft, message, { status: 'failed', at: context.environment.now(), failure });
}

/** The same for one that never got as far as a conversation. */
export async function failUnplaced(
  context: EngineContext,
  { record, failure }: { readonly record: OutboxRecord; readonly failure: FailureReason },
): Promise<void> {
  const step = createStep();
  remove(step, 'outbox', record.order);
  step.tell.push({
    type: 'status',
    update: {
      clientId: record.clientId,
      status: 'failed',
      at: context.environment.now(),
      failure,
    },
  });
  step.then.push(() => context.queues.drop(targetKey(record.to), record.order));
  await storeStep(context, step);
}

export const hasExpired = (context: EngineContext, record: OutboxRecord): boolean =>
  context.environment.now() - record.createdAt > engineLimits.outboxExpiryMs;
