// The socket to the own mailbox: hello, items one frame after the other, acknowledgement after the holder stored them.
// A broken socket is a normal state; it comes back with back-off until the relay says that this device is over.

import { SiegelError } from '@siegel/protocol/errors';
import { type AccountId } from '@siegel/protocol/ids';
import {
  type DeliveredItem,
  type DeviceFrame,
  RelayFrame,
  socketPath,
  socketProtocol,
} from '@siegel/protocol/relay';
import { type Cancel, type Environment } from '../environment.ts';
import { backOffMs } from './back-off.ts';
import { connectionLimits } from './connection-limits.ts';

/** One WebSocket, whatever platform made it. Handlers are called in order; `closed` once, also when opening failed. */
export type OpenWebSocket = (
  url: string,
  protocol: string,
  handlers: {
    opened(): void;
    /** text of a frame; a binary frame is a fault and is given as undefined */
    frame(text: string | undefined): void;
    closed(): void;
  },
) => { send(text: string): void; close(): void };

export type MailboxEvent =
  /** the token was good; `waiting` items follow */
  | { readonly type: 'online'; readonly accountId: AccountId; readonly waiting: number }
  /** a socket was lost or could not be opened; it is tried again after `retryInMs` */
  | { readonly type: 'offline'; readonly reason: OfflineReason; readonly retryInMs: number }
  | { readonly type: 'caught-up' }
  | { readonly type: 'devices-changed'; readonly accountId: AccountId }
  | { readonly type: 'key-packages-low'; readonly left: number }
  /** for good: this mailbox is not opened again by itself. `replaced`: another engine of this device took over */
  | { readonly type: 'ended'; readonly reason: 'unauthenticated' | 'revoked' | 'replaced' };

export type OfflineReason =
  | 'lost'
  | 'no-answer'
  | 'frame-refused'
  | 'not-stored'
  | 'shutting-down'
  | 'malformed'
  | 'too-slow';

export type MailboxHandlers = {
  /**
   * Gets the items of one frame in order, never two calls at a time. Resolves to the position up to which everything is
   * stored, or undefined for nothing. What it throws closes the socket; the items come again after the back-off.
   */
  readonly onItems: (items: readonly DeliveredItem[]) => Promise<number | undefined>;
  readonly onEvent: (event: MailboxEvent) => void;
};

export type Mailbox = {
  /** Skips a back-off, as after the browser's `online` event. */
  retryNow(): void;
  /** Resolves when the frame in work is stored or has failed; nothing is called afterwards. */
  close(): Promise<void>;
};

type SocketContext = Environment & {
  readonly url: string;
  readonly token: string;
  readonly webSocket: OpenWebSocket;
};

export function openMailbox(context: SocketContext, handlers: MailboxHandlers): Mailbox {
  let failures = 0;
  let over = false;
  let session: SocketSession | undefined;
  let cancelRetry: Cancel | undefined;
  let inWork: Promise<void> = Promise.resolve();

  const start = () => {
    cancelRetry = undefined;
    const opened = openSession(context, handlers, {
      after: inWork,
      progress: () => {
        failures = 0;
      },
      lost: (reason) => {
        if (over || session !== opened) return;
        session = undefined;
        const retryInMs = backOffMs(connectionLimits.socketRetry, failures, context.random());
        failures += 1;
        cancelRetry = context.schedule(start, retryInMs);
        handlers.onEvent({ type: 'offline', reason, retryInMs });
      },
      ended: (reason) => {
        if (over || session !== opened) return;
        session = undefined;
        over = true;
        handlers.onEvent({ type: 'ended', reason });
      },
      working: (work) => {
        inWork = work;
      },
    });
    session = opened;
  };

  start();
  return {
    retryNow() {
      if (over || cancelRetry === undefined) return;
      cancelRetry();
      start();
    },
    async close() {
      over = true;
      cancelRetry?.();
      session?.stop();
      session = undefined;
      await inWork;
    },
  };
}

type SocketSession = { stop(): void };

type SessionOwner = {
  /** work on a frame of an earlier socket that must end before this one's begins */
  readonly after: Promise<void>;
  /** Something was stored, or nothing waits: only then does the back-off begin anew. */
  readonly progress: () => void;
  readonly lost: (reason: OfflineReason) => void;
  readonly ended: (reason: 'unauthenticated' | 'revoked' | 'replaced') => void;
  readonly working: (work: Promise<void>) => void;
};

/** One socket from opening to its end. Every way out goes through `finish`, once. */
function openSession(
  context: SocketContext,
  handlers: MailboxHandlers,
  owner: SessionOwner,
): SocketSession {
  let finished = false;
  const finish = (tell: () => void) => {
    if (finished) return;
    finished = true;
    timers.stop();
    // `closed` may be called while the socket is still being made.
    queueMicrotask(() => {
      socket.close();
      tell();
    });
  };
  const send = (frame: DeviceFrame) => {
    if (!finished) socket.send(JSON.stringify(frame));
  };
  const timers = createTimers(context, {
    dead: () => finish(() => owner.lost('no-answer')),
    quiet: () => send({ type: 'ping', id: context.now() % 2 ** 31 }),
  });
  const line: Line = { finish, send, isFinished: () => finished };
  const receive = createReceiver(line, handlers, owner);

  const socket = context.webSocket(socketUrl(context.url), socketProtocol, {
    opened() {
      timers.heard();
      send({ type: 'hello', token: context.token });
    },
    frame(text) {
      if (finished) return;
      timers.heard();
      const frame = readFrame(text);
      if (frame === 'malformed') finish(() => owner.lost('frame-refused'));
      else if (frame !== 'unknown') receive(frame);
    },
    closed: () => finish(() => owner.lost('lost')),
  });
  return { stop: () => finish(() => undefined) };
}

type Line = {
  readonly finish: (tell: () => void) => void;
  readonly send: (frame: DeviceFrame) => void;
  readonly isFinished: () => boolean;
};

/** What each frame does. Items, and what is told after them, go through one chain: never two frames at a time. */
function createReceiver(line: Line, handlers: MailboxHandlers, owner: SessionOwner) {
  let queued = 0;
  let work = owner.after;
  const afterEarlier = (run: () => Promise<void>) => {
    const earlier = work;
    const next = async () => {
      await earlier;
      if (!line.isFinished()) await run();
    };
    work = next();
    owner.working(work);
  };
  const store = async (items: readonly DeliveredItem[]) => {
    try {
      const position = await handlers.onItems(items);
      queued -= items.length;
      if (position === undefined) return;
      line.send({ type: 'acknowledge', position });
      owner.progress();
    } catch {
      // The items stay at the relay and come again (M3); the handler has told its holder why.
      line.finish(() => owner.lost('not-stored'));
    }
  };
  return (frame: RelayFrame): void => {
    switch (frame.type) {
      case 'items':
        queued += frame.items.length;
        if (queued > connectionLimits.socketItemsQueuedMax) {
          line.finish(() => owner.lost('frame-refused'));
          return;
        }
        afterEarlier(() => store(frame.items));
        return;
      case 'caught-up':
        // Told only after what came before is stored.
        afterEarlier(async () => {
          owner.progress();
          handlers.onEvent({ type: 'caught-up' });
        });
        return;
      case 'ready':
        handlers.onEvent({ type: 'online', accountId: frame.accountId, waiting: frame.waiting });
        return;
      case 'devices-changed':
      case 'key-packages-low':
        handlers.onEvent(frame);
        return;
      case 'pong':
        return;
      case 'bye':
        line.finish(() => sayBye(owner, frame.reason));
        return;
    }
  };
}

type ByeReason = Extract<RelayFrame, { type: 'bye' }>['reason'];

function sayBye(owner: SessionOwner, reason: ByeReason): void {
  switch (reason) {
    case 'unauthenticated':
    case 'revoked':
    case 'replaced':
      owner.ended(reason);
      return;
    case 'shutting-down':
    case 'malformed':
    case 'too-slow':
      owner.lost(reason);
      return;
  }
}

/** Silence first brings a ping, then the end. Before the first frame the time to open counts. */
function createTimers(
  environment: Environment,
  on: { readonly dead: () => void; readonly quiet: () => void },
) {
  let stopped = false;
  let cancel = environment.schedule(on.dead, connectionLimits.socketOpenMs);
  return {
    heard() {
      if (stopped) return;
      cancel();
      cancel = environment.schedule(() => {
        cancel = environment.schedule(on.dead, connectionLimits.socketPongMs);
        on.quiet();
      }, connectionLimits.socketQuietMs);
    },
    stop() {
      stopped = true;
      cancel();
    },
  };
}

const knownTypes = new Set<string>(
  RelayFrame.def.options.flatMap((option) => [...option.def.shape.type.def.values]),
);

/** A frame of a type that a newer relay speaks is no fault (socket.ts of the contract). */
function readFrame(text: string | undefined): RelayFrame | 'unknown' | 'malformed' {
  if (text === undefined || text.length > connectionLimits.socketFrameCharsMax) return 'malformed';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'malformed';
  }
  const type: unknown =
    typeof value === 'object' && value !== null ? (value as { type?: unknown }).type : undefined;
  if (typeof type !== 'string') return 'malformed';
  if (!knownTypes.has(type)) return 'unknown';
  const parsed = RelayFrame.safeParse(value);
  return parsed.success ? parsed.data : 'malformed';
}

function socketUrl(url: string): string {
  const socket = new URL(`${url}${socketPath}`);
  if (socket.protocol !== 'http:' && socket.protocol !== 'https:') {
    throw new SiegelError('configuration-invalid', 'the relay’s address must be http or https');
  }
  socket.protocol = socket.protocol === 'http:' ? 'ws:' : 'wss:';
  return socket.href;
}
