// What one part of the relay tells the sockets of another: something is new. Nothing depends on it but latency, because
// devices are also asked for on connecting and on a slow timer; so a bus between relays may lose any of these.

import type { AccountId, DeviceId } from '@siegel/protocol/ids';

type Device = { readonly accountId: AccountId; readonly deviceId: DeviceId };

export type Wakeup =
  /** the mailbox of this device has grown */
  | ({ readonly kind: 'items' } & Device)
  | ({ readonly kind: 'key-packages-low'; readonly left: number } & Device)
  /** the list of `accountId` changed; for the sockets of account `to` */
  | { readonly kind: 'devices-changed'; readonly to: AccountId; readonly accountId: AccountId }
  | ({ readonly kind: 'revoked' } & Device)
  /** the device opened a socket somewhere; any older one is replaced */
  | ({ readonly kind: 'connected'; readonly socketId: string } & Device);

export type Wakeups = {
  /** Never throws and never waits. */
  readonly publish: (wakeup: Wakeup) => void;
  /** Also told of what this process published. Returns what ends the subscription. */
  readonly subscribe: (listener: (wakeup: Wakeup) => void) => () => void;
};

/** For a relay that is alone. */
export function createWakeups(): Wakeups {
  const listeners = new Set<(wakeup: Wakeup) => void>();
  return {
    publish: (wakeup) => {
      for (const listener of listeners) listener(wakeup);
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
