// One socket of one device: delivers its mailbox from the oldest unacknowledged item, holds back when too much is in flight,
// and acknowledges what the device has stored. Frames: packages/protocol/src/relay/socket.ts.

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
};

export const sessionSettings: SessionSettings = {
  helloMs: 10_000,
  pollMs: 30_000,
  bufferedBytesMax: 1024 * 1024,
  stalledMs: 60_000,
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
/** After the store could not be reached. */
const retryMs = 1_000;

/** Position and sequence are written in front of the stored JSON, which is never parsed. */
const placed = ({ position, sequence, item }: StoredItem): string =>
  `{"position":${position},"sequence":${sequence},${item.slice(1)}`;

function* framesOf(items: readonly StoredItem[]): Generator<string> {
  let parts: string[] = [];
  let bytes = 0;
  for (const item of items) {
    if (parts.length > 0 && bytes + item.item.length > frameBytes) {
      yield `{"type":"items","items":[${parts.join(',')}]}`;
      parts = [];
      bytes = 0;
    }
    parts.push(placed(item));
    bytes += item.item.length;
  }
  if (parts.length > 0) yield `{"type":"items","items":[${parts.join(',')}]}`;
}

export type MailboxSession = {
  readonly device: DeviceAddress;
  readonly socketId: string;
  /** Something may be new: sends what there is. */
  readonly wake: () => void;
  readonly acknowledge: (position: number) => void;
  readonly send: (frame: RelayFrame) => void;
  readonly end: (reason: ByeReason) => void;
  /** Nothing is sent afterwards. */
  readonly stop: () => void;
  /** Resolves when no statement of this socket is under way. */
  readonly settled: () => Promise<void>;
};

export function createMailboxSession(ports: {
  readonly socket: RelaySocket;
  readonly socketId: string;
  readonly device: DeviceAddress;
  readonly acknowledgedPosition: number;
  readonly store: Pick<MailboxStore, 'read' | 'acknowledge'>;
  readonly settings: SessionSettings;
  readonly failed: (failure: unknown) => void;
}): MailboxSession {
  const { socket, device, store, settings } = ports;
  /** Positions sent and not acknowledged, ascending. */
  let inFlight: number[] = [];
  let sentPosition = ports.acknowledgedPosition;
  let stopped = false;
  /** More was waiting than could be sent at once; the device is told when that is over. */
  let behind = true;
  let wanted = false;
  let delivering: Promise<void> | undefined;
  let acknowledging: Promise<void> | undefined;
  let acknowledgeUpTo: number | undefined;

  const pause = (milliseconds: number) =>
    new Promise<void>((resolve) => setTimeout(resolve, milliseconds).unref());

  /** False when the network did not take what was sent. */
  async function networkTakes(): Promise<boolean> {
    for (let waitedMs = 0; waitedMs < settings.stalledMs; waitedMs += backPressureMs) {
      if (stopped) return false;
      if (socket.bufferedAmount() <= settings.bufferedBytesMax) return true;
      await pause(backPressureMs);
    }
    end('too-slow');
    return false;
  }

  async function deliver(): Promise<void> {
    while (wanted && !stopped) {
      wanted = false;
      const room = limits.socketItemsInFlight - inFlight.length;
      if (room <= 0) {
        behind = true;
        continue;
      }
      const items = await store.read({ device, after: sentPosition, items: room });
      if (stopped) return;
      for (const frame of framesOf(items)) {
        if (!(await networkTakes())) return;
        socket.send(frame);
      }
      // An acknowledgement may have run ahead while the network was slow.
      const sent = items.map(({ position }) => position).filter((one) => one > sentPosition);
      inFlight.push(...sent);
      sentPosition = Math.max(sentPosition, sent.at(-1) ?? 0);
      if (items.length > 0) {
        wanted = true;
      } else if (behind) {
        behind = false;
        send({ type: 'caught-up' });
      }
    }
  }

  function wake(): void {
    wanted = true;
    if (stopped) return;
    delivering ??= deliver()
      .catch(async (failure: unknown) => {
        ports.failed(failure);
        await pause(retryMs);
        wanted = true;
      })
      .finally(() => {
        delivering = undefined;
        if (wanted && !stopped) wake();
      });
  }

  async function acknowledgeAll(): Promise<void> {
    while (acknowledgeUpTo !== undefined) {
      const position = acknowledgeUpTo;
      acknowledgeUpTo = undefined;
      await store.acknowledge({ device, position });
      inFlight = inFlight.filter((one) => one > position);
      wake();
    }
  }

  /** Positions seen by an earlier socket count too; the store bounds a position that never was. */
  function acknowledge(position: number): void {
    acknowledgeUpTo = Math.max(acknowledgeUpTo ?? 0, position);
    acknowledging ??= acknowledgeAll()
      .catch(async (failure: unknown) => {
        ports.failed(failure);
        if (stopped) return;
        await pause(retryMs);
        acknowledgeUpTo ??= position;
      })
      .finally(() => {
        acknowledging = undefined;
        if (acknowledgeUpTo !== undefined && !stopped) acknowledge(acknowledgeUpTo);
      });
  }

  function send(frame: RelayFrame): void {
    if (!stopped) sendFrame(socket, frame);
  }

  const poll = setInterval(wake, settings.pollMs);
  poll.unref();

  function stop(): void {
    stopped = true;
    clearInterval(poll);
  }

  function end(reason: ByeReason): void {
    if (stopped) return;
    stop();
    sayBye(socket, reason);
  }

  return {
    device,
    socketId: ports.socketId,
    wake,
    acknowledge,
    send,
    end,
    stop,
    settled: async () => {
      await acknowledging;
      await delivering;
    },
  };
}
