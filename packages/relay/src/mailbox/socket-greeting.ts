// A socket before it has a session: it has ten seconds to say `hello` with a good token (rule M6), and anything it sends
// while the token is looked up waits.

import { DeviceFrame } from '@siegel/protocol/relay';
import type { RelaySocket } from '../http/relay-socket.ts';
import { type MailboxSession, sayBye } from './mailbox-session.ts';

export type GreetingPorts = {
  readonly helloMs: number;
  /** Undefined when the token is no device's; `isGone` tells whether anybody still waits for the answer. */
  readonly begin: (token: string, isGone: () => boolean) => Promise<MailboxSession | undefined>;
  /** The session's socket is closed. */
  readonly leave: (session: MailboxSession) => void;
  readonly failed: (failure: unknown) => void;
};

export type GreetedSocket = {
  /** Ends a socket that has no session yet; one with a session is ended through that. */
  readonly endNameless: (reason: 'shutting-down') => void;
};

/** Frames that may arrive while a token is being looked up. */
const earlyFramesMax = 32;
/** RFC 6455 §7.4.1: internal error. */
const internalError = 1011;

function readFrame(text: string): DeviceFrame | undefined {
  try {
    return DeviceFrame.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

class Greeting implements GreetedSocket {
  readonly #socket: RelaySocket;
  readonly #ports: GreetingPorts;
  readonly #tooLate: NodeJS.Timeout;
  #session: MailboxSession | undefined;
  #state: 'silent' | 'asking' | 'known' | 'gone' = 'silent';
  #early: string[] = [];

  constructor(socket: RelaySocket, ports: GreetingPorts) {
    this.#socket = socket;
    this.#ports = ports;
    this.#tooLate = setTimeout(() => this.#refuse('unauthenticated'), ports.helloMs);
    this.#tooLate.unref();
    socket.onMessage((text) => this.#take(text));
    socket.onClose(() => this.#close());
  }

  endNameless(reason: 'shutting-down'): void {
    if (this.#session === undefined) this.#refuse(reason);
  }

  #close(): void {
    clearTimeout(this.#tooLate);
    this.#state = 'gone';
    if (this.#session !== undefined) this.#ports.leave(this.#session);
  }

  #refuse(reason: 'unauthenticated' | 'malformed' | 'shutting-down'): void {
    if (this.#state === 'gone') return;
    clearTimeout(this.#tooLate);
    this.#state = 'gone';
    if (this.#session === undefined) sayBye(this.#socket, reason);
    else if (reason === 'malformed') this.#session.end(reason);
  }

  #take(text: string): void {
    if (this.#state === 'gone') return;
    if (this.#state === 'asking') {
      if (this.#early.push(text) > earlyFramesMax) this.#refuse('malformed');
      return;
    }
    const frame = readFrame(text);
    if (frame === undefined) this.#refuse('malformed');
    else if (this.#session === undefined) this.#greet(frame);
    else this.#obey(this.#session, frame);
  }

  #greet(frame: DeviceFrame): void {
    if (frame.type !== 'hello') return this.#refuse('malformed');
    this.#state = 'asking';
    this.#begin(frame.token).catch((failure: unknown) => {
      this.#ports.failed(failure);
      this.#state = 'gone';
      this.#socket.close(internalError, 'internal');
    });
  }

  async #begin(token: string): Promise<void> {
    const session = await this.#ports.begin(token, () => this.#state === 'gone');
    if (this.#state === 'gone') return;
    if (session === undefined) return this.#refuse('unauthenticated');
    clearTimeout(this.#tooLate);
    this.#session = session;
    this.#state = 'known';
    for (const text of this.#early.splice(0)) this.#take(text);
  }

  #obey(session: MailboxSession, frame: DeviceFrame): void {
    switch (frame.type) {
      case 'hello':
        return this.#refuse('malformed');
      case 'ping':
        return session.send({ type: 'pong', id: frame.id });
      case 'acknowledge':
        return session.acknowledge(frame.position);
    }
  }
}

export const greetSocket = (socket: RelaySocket, ports: GreetingPorts): GreetedSocket =>
  new Greeting(socket, ports);
