// Typing is sealed and sent at the next chance, or not at all; nothing of it is kept but the session that moved on.

import { encodeContent, toBase64Url } from '@siegel/protocol/content';
import { ClientId, type ConversationId } from '@siegel/protocol/ids';
import { type RequestOf, submitMessage } from '@siegel/protocol/relay';
import type { EngineContext } from '../engine-context.ts';
import { freshId } from '../fresh-id.ts';
import { openDraft, storeDraft } from './draft.ts';
import type { StageResult } from './turn.ts';

export async function sendTyping(
  context: EngineContext,
  conversationId: ConversationId,
): Promise<StageResult> {
  const active = context.queues.typing.get(conversationId);
  if (active === undefined) return 'nothing';
  context.queues.typing.delete(conversationId);
  const request = await context.lanes.enter(conversationId, () =>
    sealTyping(context, conversationId, active),
  );
  // Whatever the relay says to it: a later one is a better one.
  if (request !== undefined) await context.connection.call(submitMessage, request);
  return 'progress';
}

async function sealTyping(
  context: EngineContext,
  conversationId: ConversationId,
  active: boolean,
): Promise<RequestOf<typeof submitMessage> | undefined> {
  const draft = await openDraft(context, conversationId);
  if (draft.record?.joined !== true || draft.record.left) return undefined;
  const { generation } = draft.record;
  const session = await context.sessions.load(conversationId, generation);
  if (session === undefined) return undefined;
  const header = {
    conversationId,
    generation,
    class: 'control' as const,
    kind: 'typing' as const,
    clientId: ClientId.parse(freshId(context.provider)),
  };
  const sealed = await context.engine.seal(session, {
    header,
    content: encodeContent({
      salt: context.provider.randomBytes(16),
      body: { type: 'typing', active },
    }),
    now: context.environment.now(),
  });
  if (sealed.outcome === 'refused') return undefined;
  draft.step.sessions.push({ conversationId, generation, session: sealed.session });
  await storeDraft(context, draft);
  return {
    ...header,
    epoch: sealed.epoch,
    commitment: sealed.header.commitment ?? '',
    mls: toBase64Url(sealed.mls),
  };
}
