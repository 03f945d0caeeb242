// A socket for tests of the mailbox: what the relay sent through it, and what it did with it.

import { type DeliveredItem, RelayFrame } from '@siegel/protocol/relay';
import { expect, vi } from 'vitest';
import type { MailboxHub } from '../src/hot-path.ts';
import type { RelaySocket } from '../src/http/relay-socket.ts';
import { type Device, tokenOf } from './hot-path-world.ts';

export class FakeSocket implements RelaySocket {
  readonly address = '127.0.0.1';
  readonly frames: RelayFrame[] = [];
  closed: { code: number; reason: string } | undefined;
  buffered = 0;
  #listen: (text: string) => void = () => {};
  readonly #closing: (() => void)[] = [];

  bufferedAmount = () => this.buffered;
  send = (text: string) => {
    // Every frame of every test fits the contract.
    if (this.closed === undefined) this.frames.push(RelayFrame.parse(JSON.parse(text)));
  };
  close = (code: number, reason: string) => {
    if (this.closed !== undefined) return;
    this.closed = { code, reason };
    for (const closing of this.#closing) closing();
  };
  onMessage = (listener: (text: string) => void) => {
    this.#listen = listener;
  };
  onClose = (listener: () => void) => {
    this.#closing.push(listener);
  };

  say(frame: object | string): void {
    this.#listen(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }
  acknowledge(position: number): void {
    this.say({ type: 'acknowledge', position });
  }
  get items(): DeliveredItem[] {
    return this.frames.flatMap((frame) => (frame.type === 'items' ? frame.items : []));
  }
  get types(): string[] {
    return this.frames.map(({ type }) => type);
  }
}

/** Says hello with a good token. */
export function connect(device: Device, hub: Pick<MailboxHub, 'acceptSocket'>): FakeSocket {
  const socket = new FakeSocket();
  hub.acceptSocket(socket);
  socket.say({ type: 'hello', token: tokenOf(device) });
  return socket;
}

export const until = (assertion: () => unknown) =>
  vi.waitFor(assertion, { timeout: 5000, interval: 5 });

export const caughtUp = (socket: FakeSocket) =>
  until(() => expect(socket.types).toContain('caught-up'));
