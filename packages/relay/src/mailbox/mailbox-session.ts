// One socket of one device: delivers its mailbox from the oldest unacknowledged item, holds back when too much is in flight,
// and acknowledges what the device has stored. Frames: packages/protocol/src/relay/socket.ts.

import { setTimeout as pause } from 'node:timers/promises';
import { limits } from '@siegel/protocol/limits';
import type { DeviceAddress, RelayFrame } from '@siegel/protocol/relay';
import type { RelaySocket } from '../http/relay-socket.ts';
import type { MailboxStore, StoredItem } from './mailbox-store.ts';

export type SessionSettings = {
  readonly helloMs: number;
  /** How often a device without wake-ups is looked after. */
  readonly pollMs: number;
  /** Nothing more is sent while so much waits for the network. */
  readonly bufferedBytesMax: number;
  /** A device that takes nothing for so long is sent away. */
  readonly stalledMs: number;
  /** After the store could not be reached. */
  readonly retryMs: number;
};

export const sessionSettings: SessionSettings = {
  helloMs: 10_000,
  pollMs: 30_000,
  bufferedBytesMax: 1024 * 1024,
  stalledMs: 60_000,
  retryMs: 1_000,
};

type ByeReason = Extract<RelayFrame, { type: 'bye' }>['reason'];

/** RFC 6455 §7.4: going away, policy violation. */
const closeCodes: Record<ByeReason, number> = {
  unauthenticated: 1008,
  revoked: 1008,
  replaced: 1008,
  malformed: 1008,
  'too-slow': 1008,
  'shutting-down': 1001,
};

export const sendFrame = (socket: RelaySocket, frame: RelayFrame): void =>
  socket.send(JSON.stringify(frame));

export function sayBye(socket: RelaySocket, reason: ByeReason): void {
  sendFrame(socket, { type: 'bye', reason });
  socket.close(closeCodes[reason], reason);
}

/** Text frames of about this size; a larger item travels alone. */
const frameBytes = 64 * 1024;
const backPressureMs = 50;

/** Position and sequence are written in front of the stored JSON, which is never parsed. */
const placed = ({ position, sequence, item }: StoredItem): string =>
  `{"position":${position},"sequence":${sequence},${item.slice(1)}`;

const itemsFrame = (parts: readonly string[]) => `{"type":"items","items":[${parts.join(',')}]}`;

function* framesOf(items: readonly StoredItem[]): Generator<string> {
  let parts: string[] = [];
  let bytes = 0;
  for (const item of items) {
    if (parts.length > 0 && bytes + item.item.length > frameBytes) {
      yield itemsFrame(parts);
      parts = [];
      bytes = 0;
    }
    parts.push(placed(item));
    bytes += item.item.length;
  }
  if (parts.length > 0) yield itemsFrame(parts);
}

export type SessionPorts = {
  readonly socket: RelaySocket;
  readonly socketId: string;
  readonly device: DeviceAddress;
  readonly acknowledgedPosition: number;
  readonly store: Pick<MailboxStore, 'read' | 'acknowledge'>;
  readonly settings: SessionSettings;
  readonly failed: (failure: unknown) => void;
};

export class MailboxSession {
  readonly device: DeviceAddress;
  readonly socketId: string;
  readonly #ports: SessionPorts;
  readonly #poll: NodeJS.Timeout;
  /** Positions sent and not acknowledged, ascending. */
  #inFlight: number[] = [];
  #sentPosition: number;
  #acknowledgedPosition: number;
  #stopped = false;
  /** More was waiting than could be sent at once; the device is told when that is over. */
  #behind = true;
  #wanted = false;
  #delivering: Promise<void> | undefined;
  #acknowledging: Promise<void> | undefined;
  #acknowledgeUpTo: number | undefined;

  constructor(ports: SessionPorts) {
    this.device = ports.device;
    this.socketId = ports.socketId;
    this.#ports = ports;
    this.#sentPosition = ports.acknowledgedPosition;
    this.#acknowledgedPosition = ports.acknowledgedPosition;
    this.#poll = setInterval(() => this.wake(), ports.settings.pollMs);
    this.#poll.unref();
  }

  /** Something may be new: sends what there is. */
  wake(): void {
    this.#wanted = true;
    if (this.#stopped) return;
    this.#delivering ??= this.#deliver()
      .catch(async (failure: unknown) => {
        this.#ports.failed(failure);
        await this.#pause(this.#ports.settings.retryMs);
        this.#wanted = true;
      })
      .finally(() => {
        this.#delivering = undefined;
        if (this.#wanted) this.wake();
      });
  }

  /** Positions seen by an earlier socket count too; the store bounds a position that never was. */
  acknowledge(position: number): void {
    this.#acknowledgeUpTo = Math.max(this.#acknowledgeUpTo ?? 0, position);
    this.#acknowledging ??= this.#acknowledgeAll()
      .catch(async (failure: unknown) => {
        this.#ports.failed(failure);
        await this.#pause(this.#ports.settings.retryMs);
        this.#acknowledgeUpTo = Math.max(this.#acknowledgeUpTo ?? 0, position);
      })
      .finally(() => {
        this.#acknowledging = undefined;
        if (this.#acknowledgeUpTo === undefined || this.#stopped) return;
        this.acknowledge(this.#acknowledgeUpTo);
      });
  }

  send(frame: RelayFrame): void {
    if (!this.#stopped) sendFrame(this.#ports.socket, frame);
  }

  end(reason: ByeReason): void {
    if (this.#stopped) return;
    this.stop();
    sayBye(this.#ports.socket, reason);
  }

  /** Nothing is sent afterwards. */
  stop(): void {
    this.#stopped = true;
    clearInterval(this.#poll);
  }

  /** Resolves when no statement of this socket is under way. */
  async settled(): Promise<void> {
    await this.#acknowledging;
    await this.#delivering;
  }

  /** Cut short when the socket ends. */
  async #pause(milliseconds: number): Promise<void> {
    if (!this.#stopped) await pause(milliseconds, undefined, { ref: false });
  }

  async #deliver(): Promise<void> {
    const { store } = this.#ports;
    while (this.#wanted && !this.#stopped) {
      this.#wanted = false;
      const room = limits.socketItemsInFlight - this.#inFlight.length;
      if (room <= 0) {
        // The next acknowledgement goes on.
        this.#behind = true;
        continue;
      }
      const read = { device: this.device, after: this.#sentPosition, items: room };
      const items = await store.read(read);
      for (const frame of framesOf(items)) {
        if (!(await this.#networkTakes())) return;
        this.#ports.socket.send(frame);
      }
      this.#noteSent(items);
    }
  }

  #noteSent(items: readonly StoredItem[]): void {
    const last = items.at(-1);
    if (last !== undefined) {
      // An acknowledgement of what an earlier socket brought may have been quicker.
      const sent = items.map(({ position }) => position);
      this.#inFlight.push(...sent.filter((one) => one > this.#acknowledgedPosition));
      this.#sentPosition = last.position;
      this.#wanted = true;
    } else if (this.#behind) {
      this.#behind = false;
      this.send({ type: 'caught-up' });
    }
  }

  /** False when the network did not take what was sent, or the socket ended. */
  async #networkTakes(): Promise<boolean> {
    const { socket, settings } = this.#ports;
    for (let waitedMs = 0; waitedMs < settings.stalledMs; waitedMs += backPressureMs) {
      if (this.#stopped) return false;
      if (socket.bufferedAmount() <= settings.bufferedBytesMax) return true;
      await this.#pause(backPressureMs);
    }
    this.end('too-slow');
    return false;
  }

  async #acknowledgeAll(): Promise<void> {
    while (this.#acknowledgeUpTo !== undefined) {
      const position = this.#acknowledgeUpTo;
      this.#acknowledgeUpTo = undefined;
      await this.#ports.store.acknowledge({ device: this.device, position });
      this.#acknowledgedPosition = Math.max(this.#acknowledgedPosition, position);
      this.#inFlight = this.#inFlight.filter((one) => one > position);
      this.wake();
    }
  }
}
