// The sockets of this process by device: says who a socket is, hands it its session, and passes wake-ups on.

import type { AccountId, DeviceId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import { type DeviceAddress, DeviceFrame } from '@siegel/protocol/relay';
import type { MailboxHub as HubDuties } from '../hot-path.ts';
import type { RelaySocket } from '../http/relay-socket.ts';
import {
  createMailboxSession,
  type MailboxSession,
  type SessionSettings,
  sayBye,
  sendFrame,
  sessionSettings,
} from './mailbox-session.ts';
import type { MailboxStore } from './mailbox-store.ts';
import type { Wakeup, Wakeups } from './wakeups.ts';

export type HubPorts = {
  /** Undefined for anything but the token of an unrevoked device (S1, M6). */
  readonly authenticate: (token: string) => Promise<DeviceAddress | undefined>;
  readonly store: MailboxStore;
  readonly wakeups: Wakeups;
  readonly random: (bytes: number) => Uint8Array;
  /** Everybody who shares a conversation with the account, itself included; page by page. */
  readonly contactsOf: (accountId: AccountId) => AsyncIterable<readonly AccountId[]>;
  readonly failed: (failure: unknown) => void;
  readonly settings?: Partial<SessionSettings>;
};

export type MailboxHub = HubDuties & {
  /** True when no socket of this process belongs to the device. */
  readonly isAbsent: (device: DeviceAddress) => boolean;
  /** A claim left the device so many one-time key packages. */
  readonly keyPackagesLeft: (device: DeviceAddress, left: number) => void;
};

const keyOf = ({ accountId, deviceId }: DeviceAddress) => `${accountId}/${deviceId}`;
/** Frames that may arrive while a token is being looked up. */
const earlyFramesMax = 32;

function readFrame(text: string): DeviceFrame | undefined {
  try {
    return DeviceFrame.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

export function createMailboxHub(ports: HubPorts): MailboxHub {
  const { store, wakeups } = ports;
  const settings = { ...sessionSettings, ...ports.settings };
  const sessions = new Map<string, MailboxSession>();
  const byAccount = new Map<AccountId, Set<MailboxSession>>();
  /** Sockets that have not said who they are. */
  const nameless = new Set<RelaySocket>();
  let closing: Promise<void> | undefined;

  function enter(session: MailboxSession): void {
    const { device, socketId } = session;
    sessions.get(keyOf(device))?.end('replaced');
    sessions.set(keyOf(device), session);
    const own = byAccount.get(device.accountId) ?? new Set();
    byAccount.set(device.accountId, own.add(session));
    wakeups.publish({ kind: 'connected', ...device, socketId });
  }

  function leave(session: MailboxSession): void {
    session.stop();
    const { device } = session;
    if (sessions.get(keyOf(device)) === session) sessions.delete(keyOf(device));
    const own = byAccount.get(device.accountId);
    own?.delete(session);
    if (own?.size === 0) byAccount.delete(device.accountId);
  }

  function hear(wakeup: Wakeup): void {
    if (wakeup.kind === 'devices-changed') {
      const { accountId } = wakeup;
      for (const session of byAccount.get(wakeup.to) ?? []) {
        session.send({ type: 'devices-changed', accountId });
      }
      return;
    }
    const session = sessions.get(keyOf(wakeup));
    if (session === undefined) return;
    switch (wakeup.kind) {
      case 'items':
        return session.wake();
      case 'key-packages-low':
        return session.send({ type: 'key-packages-low', left: wakeup.left });
      case 'revoked':
        return session.end('revoked');
      case 'connected':
        return wakeup.socketId === session.socketId ? undefined : session.end('replaced');
    }
  }

  const unsubscribe = wakeups.subscribe(hear);

  /** Undefined when the token is no device's, or the socket is gone meanwhile. */
  async function greet(socket: RelaySocket, token: string): Promise<MailboxSession | undefined> {
    const known = await ports.authenticate(token);
    if (known === undefined || closing !== undefined || !nameless.has(socket)) {
      if (nameless.has(socket)) sayBye(socket, closing ? 'shutting-down' : 'unauthenticated');
      return undefined;
    }
    const device = { accountId: known.accountId, deviceId: known.deviceId };
    const facts = await store.facts(device);
    if (!nameless.has(socket) || closing !== undefined) return undefined;
    const socketId = Buffer.from(ports.random(12)).toString('base64url');
    const session = createMailboxSession({
      socket,
      socketId,
      device,
      acknowledgedPosition: facts.acknowledgedPosition,
      store,
      settings,
      failed: ports.failed,
    });
    enter(session);
    sendFrame(socket, { type: 'ready', accountId: device.accountId, waiting: facts.waiting });
    if (facts.keyPackagesLeft < limits.keyPackagesLowWater) {
      session.send({ type: 'key-packages-low', left: facts.keyPackagesLeft });
    }
    session.wake();
    return session;
  }

  function acceptSocket(socket: RelaySocket): void {
    if (closing !== undefined) return sayBye(socket, 'shutting-down');
    let session: MailboxSession | undefined;
    let greeting: Promise<void> | undefined;
    const early: string[] = [];
    nameless.add(socket);
    const tooLate = setTimeout(() => end('unauthenticated'), settings.helloMs);
    tooLate.unref();

    function end(reason: 'unauthenticated' | 'malformed' | 'too-slow'): void {
      nameless.delete(socket);
      clearTimeout(tooLate);
      if (session === undefined) sayBye(socket, reason);
      else session.end(reason);
    }

    async function begin(token: string): Promise<void> {
      session = await greet(socket, token);
      nameless.delete(socket);
      clearTimeout(tooLate);
      if (session === undefined) return;
      for (const text of early.splice(0)) take(text);
    }

    function take(text: string): void {
      const frame = readFrame(text);
      if (frame === undefined) return end('malformed');
      if (frame.type === 'hello') {
        if (greeting !== undefined) return end('malformed');
        greeting = begin(frame.token).catch((failure: unknown) => {
          ports.failed(failure);
          nameless.delete(socket);
          socket.close(1011, 'internal');
        });
        return undefined;
      }
      if (session === undefined) return end('malformed');
      if (frame.type === 'ping') return session.send({ type: 'pong', id: frame.id });
      return session.acknowledge(frame.position);
    }

    socket.onMessage((text) => {
      const waiting = greeting !== undefined && session === undefined;
      if (!waiting) return take(text);
      if (early.push(text) > earlyFramesMax && nameless.has(socket)) end('malformed');
      return undefined;
    });
    socket.onClose(() => {
      clearTimeout(tooLate);
      nameless.delete(socket);
      if (session !== undefined) leave(session);
    });
  }

  async function announce(accountId: AccountId): Promise<void> {
    wakeups.publish({ kind: 'devices-changed', to: accountId, accountId });
    const told = new Set([accountId]);
    for await (const contacts of ports.contactsOf(accountId)) {
      for (const to of contacts) {
        if (!told.has(to)) wakeups.publish({ kind: 'devices-changed', to, accountId });
        told.add(to);
      }
    }
  }

  async function close(): Promise<void> {
    unsubscribe();
    for (const socket of nameless) sayBye(socket, 'shutting-down');
    nameless.clear();
    const ending = [...sessions.values()];
    for (const session of ending) session.end('shutting-down');
    await Promise.all(ending.map((session) => session.settled()));
    await store.close();
  }

  return {
    acceptSocket,
    isAbsent: (device) => !sessions.has(keyOf(device)),
    keyPackagesLeft: ({ accountId, deviceId }, left) => {
      if (left >= limits.keyPackagesLowWater) return;
      wakeups.publish({ kind: 'key-packages-low', accountId, deviceId, left });
    },
    revokeDevices: (accountId: AccountId, deviceIds: readonly DeviceId[]) => {
      for (const deviceId of deviceIds) wakeups.publish({ kind: 'revoked', accountId, deviceId });
    },
    devicesChanged: (accountId) => {
      announce(accountId).catch(ports.failed);
    },
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}
