// What every part of the engine works with, and the one way in which it changes anything: a step, stored whole or not at all.

import type { Session } from '@siegel/crypto';
import { SiegelError } from '@siegel/protocol/errors';
import type { ConversationId } from '@siegel/protocol/ids';
import type {
  AccountHandler,
  ConversationNotice,
  ReceivedMessage,
  StatusUpdate,
} from './account-api.ts';
import type { SessionCache } from './conversations/session-cache.ts';
import type { DeviceContext } from './device-context.ts';
import type { Identity } from './identity.ts';
import type { Lanes } from './lanes.ts';
import type { OutboxQueues } from './outbox-queues.ts';
import type { RepairNeeds } from './self-repair.ts';
import type { Collection, StoreWrite } from './store.ts';

export type EngineContext = DeviceContext & {
  readonly identity: Identity;
  /** A renewed certificate, once it is stored. */
  readonly renewed: (identity: Identity) => void;
  readonly handler: AccountHandler;
  /** the operator's public keys, base64url */
  readonly operatorKeys: readonly string[];
  readonly sessions: SessionCache;
  readonly lanes: Lanes;
  readonly queues: OutboxQueues;
  readonly repairs: RepairNeeds;
  /** Wakes the worker of a conversation (or of a target that has none yet). */
  readonly wake: (key: string) => void;
  /** Somebody else writes this store: the engine stops. */
  readonly lost: (error: unknown) => void;
  /** Told of what is retried by itself; never with content. */
  readonly report: (error: unknown) => void;
  /** A Welcome used the reusable key package: it must be renewed. */
  readonly lastResortUsed: () => void;
  readonly closing: AbortSignal;
  readonly nextOrder: (after?: string) => string;
};

export type Tell =
  | { readonly type: 'message'; readonly message: ReceivedMessage }
  | { readonly type: 'status'; readonly update: StatusUpdate }
  | { readonly type: 'notice'; readonly notice: ConversationNotice };

export type HeldSession = {
  readonly conversationId: ConversationId;
  readonly generation: number;
  readonly session: Session;
};

/** Everything that becomes true together: records, sessions and what the handler is told. */
export type Step = {
  readonly writes: StoreWrite[];
  readonly sessions: HeldSession[];
  readonly tell: Tell[];
  /** effects in memory, once it is stored */
  readonly then: (() => void)[];
  within?: (transaction: unknown) => Promise<void>;
};

export const createStep = (): Step => ({ writes: [], sessions: [], tell: [], then: [] });

export const put = (step: Step, collection: Collection, key: string, value: Uint8Array): void => {
  step.writes.push({ collection, key, value });
};

export const remove = (step: Step, collection: Collection, key: string): void => {
  step.writes.push({ collection, key, value: undefined });
};

/**
 * Stores a step. When it fails, nothing of it may be believed: the sessions in memory are forgotten, and whatever really
 * reached the store is read again.
 */
export async function storeStep(context: EngineContext, step: Step): Promise<void> {
  context.closing.throwIfAborted();
  const sessions = step.sessions.map(({ conversationId, generation, session }) => ({
    collection: 'session' as const,
    key: context.sessions.keyOf(conversationId, generation),
    value: context.engine.encodeSession(session),
  }));
  try {
    await context.store.commit(lastOfEach([...sessions, ...step.writes]), async (transaction) => {
      for (const tell of step.tell) await tellHandler(context.handler, tell, transaction);
      await step.within?.(transaction);
    });
  } catch (error) {
    for (const held of step.sessions) context.sessions.forget(held.conversationId);
    if (error instanceof SiegelError && error.code === 'state-conflict') context.lost(error);
    throw error;
  }
  for (const held of step.sessions) context.sessions.remember(held);
  for (const run of step.then) run();
}

/** Within one step a record may be written several times; only what it becomes in the end is stored. */
function lastOfEach(writes: readonly StoreWrite[]): StoreWrite[] {
  const last = new Map(writes.map((write) => [`${write.collection} ${write.key}`, write]));
  return [...last.values()];
}

function tellHandler(handler: AccountHandler, tell: Tell, transaction: unknown): Promise<void> {
  switch (tell.type) {
    case 'message':
      return handler.message(tell.message, transaction);
    case 'status':
      return handler.status(tell.update, transaction);
    case 'notice':
      return handler.notice(tell.notice, transaction);
  }
}
