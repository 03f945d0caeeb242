// An account on one device, put together: outbox, inbox and conversations over one store and one connection.

import { type CryptoProvider, createEngine, type Engine } from '@siegel/crypto';
import { SiegelError } from '@siegel/protocol/errors';
import type {
  AccountId,
  ClientId,
  ConversationId,
  DeviceId,
  MessageId,
  PhoneNumber,
} from '@siegel/protocol/ids';
import type {
  AccountHandler,
  Contact,
  Conversation,
  Outgoing,
  StoredMessage,
} from './account-api.ts';
import { createUpkeep, type Upkeep } from './account-upkeep.ts';
import {
  conversationRecords,
  listMessages,
  toConversation,
  toStoredMessage,
} from './account-views.ts';
import { type LookUp, lookUp, setBlocked, toContact } from './contact-book.ts';
import { runWorker } from './conversation-worker.ts';
import { readContact } from './conversations/draft.ts';
import { findMessage } from './conversations/message-store.ts';
import { createSessionCache } from './conversations/session-cache.ts';
import { removeDevice } from './device-list.ts';
import type { EngineContext } from './engine-context.ts';
import { engineLimits } from './engine-limits.ts';
import { type EngineLock, noLock } from './engine-lock.ts';
import type { Environment } from './environment.ts';
import { type Identity, readIdentity } from './identity.ts';
import { takeItems } from './inbox.ts';
import { createLanes } from './lanes.ts';
import { readOperator } from './operator.ts';
import { send } from './outbox.ts';
import { createOutboxQueues } from './outbox-queues.ts';
import { joinAllConversations, removeLeavesEverywhere } from './own-devices.ts';
import { markRead } from './receipts.ts';
import type { MailboxEvent, RelayConnection } from './relay-connection.ts';
import { createRepairNeeds } from './self-repair.ts';
import { startOutbox } from './start-outbox.ts';
import type { Store } from './store.ts';
import { createWorkers, type Workers } from './workers.ts';

export type AccountOptions<Transaction = unknown> = Environment & {
  readonly store: Store<Transaction>;
  /** with the device's token; the account closes it when it is closed */
  readonly connection: RelayConnection;
  readonly provider: CryptoProvider;
  /** made from the provider when left out; several accounts of one process may share it */
  readonly engine?: Engine;
  readonly handler: AccountHandler<Transaction>;
  /** the right to be the store's only engine; without it the caller vouches for that */
  readonly lock?: EngineLock;
  /** online, offline, caught up; `ended` is for good */
  readonly onEvent?: (event: AccountEvent) => void;
  /** Told of failures that are tried again; never with content, keys or numbers. */
  readonly report?: (error: unknown) => void;
};

export type AccountEvent = MailboxEvent | { readonly type: 'lost'; readonly error: unknown };

export type { LookUp } from './contact-book.ts';

/** An open account. It sends and receives by itself until it is closed. */
export interface Account<Transaction = unknown> extends AsyncDisposable {
  readonly accountId: AccountId;
  readonly deviceId: DeviceId;
  /**
   * Stores the message, durable, and answers; sending goes on by itself, in the order of these calls. `within` runs in the
   * storing transaction. A client id that was sent before is not sent again.
   */
  send(
    outgoing: Outgoing,
    within?: (transaction: Transaction, clientId: ClientId) => Promise<void>,
  ): Promise<{ readonly clientId: ClientId }>;
  /** Not kept: it is sent now or never. */
  sendTyping(conversationId: ConversationId, active: boolean): void;
  /** Read receipts for all unread messages up to this one. */
  markRead(conversationId: ConversationId, upTo: MessageId): Promise<void>;
  conversations(): Promise<readonly Conversation[]>;
  /** Newest first; `before` is the `order` of the last one of the page before. */
  messages(
    conversationId: ConversationId,
    page: { readonly before?: string; readonly limit: number },
  ): Promise<readonly StoredMessage[]>;
  message(messageId: MessageId): Promise<StoredMessage | undefined>;
  contact(accountId: AccountId): Promise<Contact | undefined>;
  block(accountId: AccountId): Promise<void>;
  unblock(accountId: AccountId): Promise<void>;
  lookUp(number: PhoneNumber): Promise<LookUp>;
  /** Main device only: signs the next list without that device and removes its leaves. */
  removeDevice(deviceId: DeviceId): Promise<void>;
  /** Joins by external commit whatever conversation of the account this device is not in yet; answers how many. */
  joinAllConversations(): Promise<number>;
  /** Resolves when nothing is waiting to be sent and everything received is stored. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

type Engines = {
  readonly context: EngineContext;
  readonly workers: Workers;
  readonly upkeep: Upkeep;
  stop(): void;
};

/**
 * Opens the account whose identity the store holds. @throws SiegelError `unauthenticated` when it holds none,
 * `state-conflict` when another engine has it
 */
export async function openAccount<Transaction>(
  options: AccountOptions<Transaction>,
): Promise<Account<Transaction>> {
  const identity = await readIdentity(options.store);
  if (identity === undefined) throw new SiegelError('unauthenticated', 'no account in this store');
  const operator = await readOperator(options.store);
  let end: (error: unknown) => void = () => undefined;
  const lock = await (options.lock ?? noLock).acquire(() =>
    end(new SiegelError('state-conflict', 'another engine took over')),
  );
  const engines = startEngine(options, { identity, operatorKeys: operator?.keys ?? [] });
  const { context, workers, upkeep } = engines;
  end = (error) => {
    engines.stop();
    options.onEvent?.({ type: 'lost', error });
  };
  const newest = await startOutbox(context);
  context.nextOrder(newest);
  const mailbox = context.connection.openMailbox({
    onItems: (items) => takeItems(context, items),
    onEvent(event) {
      if (event.type === 'online') encourageAll(context);
      // Revoked, or replaced by another engine: nothing is written any more, what is stored stays readable.
      if (event.type === 'ended') engines.stop();
      upkeep.onEvent(event);
      options.onEvent?.(event);
    },
  });
  upkeep.start();
  const closeAll = async () => {
    engines.stop();
    upkeep.stop();
    await mailbox.close();
    await context.connection.close();
    await workers.close();
    await context.lanes.idle();
    await lock.release();
  };
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= closeAll();
    return closed;
  };
  return { ...accountOf<Transaction>(context, workers), close, [Symbol.asyncDispose]: close };
}

function startEngine<Transaction>(
  options: AccountOptions<Transaction>,
  known: { readonly identity: Identity; readonly operatorKeys: readonly string[] },
): Engines {
  const { store, connection, provider, handler } = options;
  const { now, random, schedule } = options;
  const engine = options.engine ?? createEngine(provider);
  const closing = new AbortController();
  // Renewed certificates make a new identity; everybody reads the newest one.
  let identity = known.identity;
  const workers = createWorkers({
    schedule,
    parallelMax: engineLimits.conversationsInParallel[known.identity.kind],
    run: (key) => runWorker(context, key),
  });
  const context: EngineContext = {
    store,
    connection,
    provider,
    engine,
    handler,
    environment: { now, random, schedule },
    get identity() {
      return identity;
    },
    renewed(next) {
      identity = next;
    },
    operatorKeys: known.operatorKeys,
    sessions: createSessionCache(store, engine),
    lanes: createLanes(),
    queues: createOutboxQueues(now, (key) => workers.wake(key)),
    repairs: createRepairNeeds(),
    wake: (key) => workers.wake(key),
    lastResortUsed: () => upkeep.lastResortUsed(),
    lost(error) {
      closing.abort(error);
      options.onEvent?.({ type: 'lost', error });
    },
    report: (error) => options.report?.(error),
    closing: closing.signal,
    nextOrder: createOrders(now),
  };
  const upkeep = createUpkeep(context);
  const stop = () => closing.abort(new SiegelError('state-conflict', 'the account was closed'));
  return { context, workers, upkeep, stop };
}

/** Sixteen digits that only grow: the time, or one more than the last. */
function createOrders(now: () => number): EngineContext['nextOrder'] {
  let last = 0;
  return (after) => {
    last = Math.max(now(), last + 1, Number(after ?? 0) + 1);
    return String(last).padStart(16, '0');
  };
}

function encourageAll(context: EngineContext): void {
  for (const key of context.queues.keys()) {
    context.repairs.encourage(key as ConversationId);
    context.wake(key);
  }
}

type AccountCore<Transaction> = Omit<Account<Transaction>, 'close' | typeof Symbol.asyncDispose>;

function accountOf<Transaction>(
  context: EngineContext,
  workers: Workers,
): AccountCore<Transaction> {
  const { accountId, deviceId } = context.identity;
  return {
    accountId,
    deviceId,
    send: (outgoing, within) => send(context, outgoing, within as Parameters<typeof send>[2]),
    sendTyping(conversationId, active) {
      context.queues.typing.set(conversationId, active);
      context.wake(conversationId);
    },
    markRead: (conversationId, upTo) => markRead(context, conversationId, upTo),
    async conversations() {
      const all = [];
      for await (const record of conversationRecords(context)) all.push(toConversation(record));
      return all;
    },
    messages: (conversationId, page) => listMessages(context, conversationId, page),
    async message(messageId) {
      const record = await findMessage(context, messageId);
      return record && toStoredMessage(record);
    },
    async contact(id) {
      const record = await readContact(context, id);
      return record && toContact(record);
    },
    block: (id) => setBlocked(context, id, true),
    unblock: (id) => setBlocked(context, id, false),
    lookUp: (number) => lookUp(context, number),
    async removeDevice(id) {
      const removed = await removeDevice(context, context.identity, id);
      if (removed.outcome !== 'published') {
        throw new SiegelError('forbidden', `the device list was not changed: ${removed.outcome}`);
      }
      await removeLeavesEverywhere(context);
    },
    joinAllConversations: () => joinAllConversations(context),
    settled: () => settled(context, workers),
  };
}

const settlePollMs = 10;

async function settled(context: EngineContext, workers: Workers): Promise<void> {
  const { queues, environment } = context;
  while (!context.closing.aborted) {
    await workers.idle();
    await context.lanes.idle();
    if (queues.size() === 0 && queues.receipts.size === 0 && queues.typing.size === 0) return;
    await new Promise<void>((resolve) => {
      environment.schedule(resolve, settlePollMs);
    });
  }
}
