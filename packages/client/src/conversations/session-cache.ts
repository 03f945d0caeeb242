// Sessions in memory, so that not every message decodes a whole group state. The store is the truth; forgetting is safe.

import type { Engine, Session } from '@siegel/crypto';
import { SiegelError } from '@siegel/protocol/errors';
import type { ConversationId } from '@siegel/protocol/ids';
import { engineLimits } from '../engine-limits.ts';
import type { Store } from '../store.ts';

export type SessionCache = {
  keyOf(conversationId: ConversationId, generation: number): string;
  /** undefined when there is none, or when it cannot be read: both are healed by joining again */
  load(conversationId: ConversationId, generation: number): Promise<Session | undefined>;
  remember(held: {
    readonly conversationId: ConversationId;
    readonly generation: number;
    readonly session: Session;
  }): void;
  forget(conversationId: ConversationId): void;
};

/** Seven digits, so that keys sort by generation. */
const keyOf = (conversationId: ConversationId, generation: number): string =>
  `${conversationId}/${String(generation).padStart(7, '0')}`;

export function createSessionCache(store: Store, engine: Engine): SessionCache {
  const sessions = new Map<string, Session>();
  /** The least recently used one gives way. */
  const keep = (key: string, session: Session) => {
    sessions.delete(key);
    sessions.set(key, session);
    if (sessions.size <= engineLimits.sessionsInMemory) return;
    const oldest = sessions.keys().next();
    if (!oldest.done) sessions.delete(oldest.value);
  };
  return {
    keyOf,
    async load(conversationId, generation) {
      const key = keyOf(conversationId, generation);
      const known = sessions.get(key);
      if (known !== undefined) {
        keep(key, known);
        return known;
      }
      const bytes = await store.get('session', key);
      if (bytes === undefined) return undefined;
      try {
        const session = engine.decodeSession(bytes);
        keep(key, session);
        return session;
      } catch (error) {
        if (error instanceof SiegelError && error.code === 'state-corrupt') return undefined;
        throw error;
      }
    },
    remember: ({ conversationId, generation, session }) =>
      keep(keyOf(conversationId, generation), session),
    forget(conversationId) {
      for (const key of sessions.keys()) {
        if (key.startsWith(conversationId)) sessions.delete(key);
      }
    },
  };
}
