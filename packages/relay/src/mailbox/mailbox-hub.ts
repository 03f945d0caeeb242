// The sockets of this process by device: hands each its session, and passes wake-ups on.

import type { AccountId, DeviceId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { DeviceAddress } from '@siegel/protocol/relay';
import type { MailboxHub as HubDuties } from '../hot-path.ts';
import type { RelaySocket } from '../http/relay-socket.ts';
import {
  MailboxSession,
  type SessionSettings,
  sayBye,
  sessionSettings,
} from './mailbox-session.ts';
import type { MailboxStore } from './mailbox-store.ts';
import { type GreetedSocket, greetSocket } from './socket-greeting.ts';
import type { Wakeup, Wakeups } from './wakeups.ts';

export type HubPorts = {
  /** Undefined for anything but the token of an unrevoked device (S1, M6). */
  readonly authenticate: (token: string) => Promise<DeviceAddress | undefined>;
  readonly store: MailboxStore;
  readonly wakeups: Wakeups;
  readonly random: (bytes: number) => Uint8Array;
  /** Everybody who shares a conversation with the account, page by page. */
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

const revokedMax = 10_000;

const keyOf = ({ accountId, deviceId }: DeviceAddress) => `${accountId}/${deviceId}`;

class Hub implements MailboxHub {
  readonly #ports: HubPorts;
  readonly #settings: SessionSettings;
  readonly #sessions = new Map<string, MailboxSession>();
  readonly #byAccount = new Map<AccountId, Set<MailboxSession>>();
  readonly #sockets = new Set<GreetedSocket>();
  /** Device ids are never used twice, so this can only grow; the newest are enough for greetings under way. */
  readonly #revoked = new Set<string>();
  readonly #unsubscribe: () => void;
  #closing: Promise<void> | undefined;

  constructor(ports: HubPorts) {
    this.#ports = ports;
    this.#settings = { ...sessionSettings, ...ports.settings };
    this.#unsubscribe = ports.wakeups.subscribe((wakeup) => this.#hear(wakeup));
  }

  readonly acceptSocket = (socket: RelaySocket): void => {
    if (this.#closing !== undefined) return sayBye(socket, 'shutting-down');
    const greeted = greetSocket(socket, {
      helloMs: this.#settings.helloMs,
      begin: (token, isGone) => this.#begin({ socket, token, isGone }),
      leave: (session) => this.#leave(session),
      failed: this.#ports.failed,
    });
    this.#sockets.add(greeted);
    socket.onClose(() => this.#sockets.delete(greeted));
  };

  readonly isAbsent = (device: DeviceAddress): boolean => !this.#sessions.has(keyOf(device));

  readonly keyPackagesLeft = ({ accountId, deviceId }: DeviceAddress, left: number): void => {
    if (left >= limits.keyPackagesLowWater) return;
    this.#ports.wakeups.publish({ kind: 'key-packages-low', accountId, deviceId, left });
  };

  readonly revokeDevices = (accountId: AccountId, deviceIds: readonly DeviceId[]): void => {
    for (const deviceId of deviceIds) {
      this.#ports.wakeups.publish({ kind: 'revoked', accountId, deviceId });
    }
  };

  readonly devicesChanged = (accountId: AccountId): void => {
    this.#announce(accountId).catch(this.#ports.failed);
  };

  readonly close = (): Promise<void> => {
    this.#closing ??= this.#close();
    return this.#closing;
  };

  async #begin(hello: {
    socket: RelaySocket;
    token: string;
    isGone: () => boolean;
  }): Promise<MailboxSession | undefined> {
    const { socket, token, isGone } = hello;
    const { store, failed } = this.#ports;
    const settings = this.#settings;
    const known = await this.#ports.authenticate(token);
    if (known === undefined || isGone()) return undefined;
    const device = { accountId: known.accountId, deviceId: known.deviceId };
    const { acknowledgedPosition, waiting, keyPackagesLeft } = await store.facts(device);
    if (isGone() || this.#revoked.has(keyOf(device))) return undefined;
    const socketId = Buffer.from(this.#ports.random(12)).toString('base64url');
    const ports = { socket, socketId, device, acknowledgedPosition, store, settings, failed };
    const session = new MailboxSession(ports);
    this.#enter(session);
    session.send({ type: 'ready', accountId: device.accountId, waiting });
    if (keyPackagesLeft < limits.keyPackagesLowWater) {
      session.send({ type: 'key-packages-low', left: keyPackagesLeft });
    }
    session.wake();
    return session;
  }

  #enter(session: MailboxSession): void {
    const { device, socketId } = session;
    this.#sessions.get(keyOf(device))?.end('replaced');
    this.#sessions.set(keyOf(device), session);
    const own = this.#byAccount.get(device.accountId) ?? new Set();
    this.#byAccount.set(device.accountId, own.add(session));
    this.#ports.wakeups.publish({ kind: 'connected', ...device, socketId });
  }

  #leave(session: MailboxSession): void {
    session.stop();
    const { device } = session;
    if (this.#sessions.get(keyOf(device)) === session) this.#sessions.delete(keyOf(device));
    const own = this.#byAccount.get(device.accountId);
    own?.delete(session);
    if (own?.size === 0) this.#byAccount.delete(device.accountId);
  }

  #hear(wakeup: Wakeup): void {
    if (wakeup.kind === 'devices-changed') {
      const { accountId } = wakeup;
      for (const session of this.#byAccount.get(wakeup.to) ?? []) {
        session.send({ type: 'devices-changed', accountId });
      }
      return;
    }
    if (wakeup.kind === 'revoked') this.#remember(keyOf(wakeup));
    const session = this.#sessions.get(keyOf(wakeup));
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

  #remember(revoked: string): void {
    this.#revoked.add(revoked);
    if (this.#revoked.size <= revokedMax) return;
    for (const oldest of this.#revoked) {
      this.#revoked.delete(oldest);
      return;
    }
  }

  async #announce(accountId: AccountId): Promise<void> {
    const told = new Set<AccountId>();
    const tell = (to: AccountId) => {
      if (told.has(to)) return;
      told.add(to);
      this.#ports.wakeups.publish({ kind: 'devices-changed', to, accountId });
    };
    tell(accountId);
    for await (const contacts of this.#ports.contactsOf(accountId)) contacts.forEach(tell);
  }

  async #close(): Promise<void> {
    this.#unsubscribe();
    for (const greeted of this.#sockets) greeted.endNameless('shutting-down');
    const ending = [...this.#sessions.values()];
    for (const session of ending) session.end('shutting-down');
    await Promise.all(ending.map((session) => session.settled()));
    await this.#ports.store.close();
  }
}

export const createMailboxHub = (ports: HubPorts): MailboxHub => new Hub(ports);
