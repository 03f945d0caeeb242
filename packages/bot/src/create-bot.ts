// A bot: takes Cloud API webhooks, answers each message once and each person in order, and keeps
// quiet where a person took over.
import { type CloudApiAccess, CloudApiRefusal, createCloudApiClient } from './cloud-api-client.ts';
import { createHandOvers } from './hand-over.ts';
import { type IncomingMessage, type IncomingStatus, readWebhook } from './incoming.ts';
import { createRecentIds } from './recent-ids.ts';
import { createReply, type Reply } from './reply.ts';
import { startWebhookServer } from './webhook-server.ts';
import { createWorkQueue, type WorkItem } from './work-queue.ts';

export interface BotHandlers {
  message(message: IncomingMessage, reply: Reply): Promise<void>;
  /** Asked while the bot is quiet: `true` wakes it for this very message. */
  resumes?(message: IncomingMessage): boolean;
  status?(status: IncomingStatus): Promise<void>;
}

/** What happened, without content, numbers or names. */
export type BotEvent =
  | { readonly event: 'refused'; readonly why: 'signature' | 'malformed' | 'too-large' | 'busy' }
  | { readonly event: 'duplicate' | 'quiet' | 'handled' }
  | { readonly event: 'failed'; readonly why: string };

export type BotOptions = CloudApiAccess & {
  readonly appSecret: string;
  readonly verifyToken: string;
  /** 0 takes a free one */
  readonly port: number;
  /** loopback unless given */
  readonly host?: string;
  readonly path?: string;
  readonly handlers: BotHandlers;
  readonly now: () => number;
  readonly onEvent?: (event: BotEvent) => void;
  readonly limits?: Partial<BotLimits>;
};

export type BotLimits = {
  readonly waitingMax: number;
  readonly waitingPerPersonMax: number;
  readonly runningMax: number;
  readonly handlerMs: number;
  readonly idsRemembered: number;
  readonly handOversMax: number;
  readonly stopMs: number;
};

export interface Bot {
  /** where webhooks go */
  readonly url: string;
  /** An operator gives a conversation back to the bot; `false` when it was not quiet there. */
  resume(conversation: string): boolean;
  /** The conversations a person has. */
  handedOver(): readonly { readonly conversation: string; readonly until: number }[];
  /** Takes nothing new, finishes what waits within its time, then cuts the rest. Idempotent. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const defaultLimits: BotLimits = {
  waitingMax: 1000,
  waitingPerPersonMax: 20,
  runningMax: 16,
  handlerMs: 30_000,
  idsRemembered: 10_000,
  handOversMax: 10_000,
  stopMs: 5_000,
};

const reasonOf = (error: unknown): string => {
  if (error instanceof CloudApiRefusal) return error.message;
  // Only the kind: a handler's own message may quote what a person wrote.
  return error instanceof Error ? error.name : 'unknown';
};

/** Rejects when the signal says so, whatever the work does meanwhile. */
function cutShort(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cut = () => reject(new Error('cut short', { cause: signal.reason }));
    if (signal.aborted) return cut();
    signal.addEventListener('abort', cut, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', cut));
  });
}

function createWork(options: BotOptions, limits: BotLimits, stopping: AbortSignal) {
  const client = createCloudApiClient(options);
  const handOvers = createHandOvers(options.now, limits.handOversMax);
  const tell = options.onEvent ?? (() => {});

  const guarded = async (work: (signal: AbortSignal) => Promise<void>): Promise<void> => {
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(limits.handlerMs)]);
    try {
      await cutShort(work(signal), signal);
      tell({ event: 'handled' });
    } catch (error) {
      tell({ event: 'failed', why: reasonOf(error) });
    }
  };

  const answerMessage = async (message: IncomingMessage): Promise<void> => {
    if (handOvers.isQuiet(message.conversation)) {
      if (options.handlers.resumes?.(message) !== true) return tell({ event: 'quiet' });
      handOvers.end(message.conversation);
    }
    await guarded(async (signal) =>
      options.handlers.message(message, createReply(message, { client, handOvers, signal })),
    );
  };

  return {
    handOvers,
    ofMessage: (message: IncomingMessage): WorkItem => ({
      lane: message.conversation,
      run: () => answerMessage(message),
    }),
    ofStatus: (status: IncomingStatus): WorkItem => ({
      lane: `status ${status.id}`,
      run: () => guarded(async () => options.handlers.status?.(status)),
    }),
  };
}

export async function createBot(options: BotOptions): Promise<Bot> {
  const limits = { ...defaultLimits, ...options.limits };
  const tell = options.onEvent ?? (() => {});
  const stopping = new AbortController();
  const work = createWork(options, limits, stopping.signal);
  const seen = createRecentIds(limits.idsRemembered);
  const queue = createWorkQueue({
    waitingMax: limits.waitingMax,
    waitingPerLaneMax: limits.waitingPerPersonMax,
    runningMax: limits.runningMax,
  });

  const accept = (body: unknown): boolean => {
    const { messages, statuses } = readWebhook(body, options.phoneNumberId);
    const fresh = new Map<string, WorkItem>();
    for (const message of messages) {
      if (seen.has(message.id) || fresh.has(message.id)) tell({ event: 'duplicate' });
      else fresh.set(message.id, work.ofMessage(message));
    }
    if (options.handlers.status !== undefined) {
      for (const status of statuses) {
        const key = `${status.id} ${status.status}`;
        if (!seen.has(key)) fresh.set(key, work.ofStatus(status));
      }
    }
    // Remembered only once taken: a POST turned away for lack of room must be able to come again.
    if (!queue.add([...fresh.values()])) return false;
    for (const id of fresh.keys()) seen.add(id);
    return true;
  };

  const server = await startWebhookServer({
    appSecret: options.appSecret,
    verifyToken: options.verifyToken,
    host: options.host ?? '127.0.0.1',
    port: options.port,
    path: options.path ?? '/webhook',
    accept,
    refused: (why) => tell({ event: 'refused', why }),
  });

  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    const timer = setTimeout(() => stopping.abort(new Error('the bot stops')), limits.stopMs);
    await server.close();
    await queue.idle();
    clearTimeout(timer);
  };
  const stopOnce = () => (stopped ??= stop());
  return {
    url: server.url,
    resume: (conversation) => work.handOvers.end(conversation),
    handedOver: () => work.handOvers.list(),
    stop: stopOnce,
    [Symbol.asyncDispose]: stopOnce,
  };
}
