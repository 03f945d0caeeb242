// The entry of web apps: the browser's time, network, storage and locks.

import { browserProvider, createEngine } from '@siegel/crypto';
import { browserNetwork } from './connection/browser-network.ts';
import type { DeviceContext } from './device-context.ts';
import type { EngineLock } from './engine-lock.ts';
import type { Environment } from './environment.ts';
import { createRelayConnection, type RelayConnection } from './relay-connection.ts';
import type { Store } from './store.ts';
import { deleteIndexedDbStore, openIndexedDbStore } from './stores/indexeddb.ts';
import { createWebLock } from './web-lock.ts';

export { browserNetwork } from './connection/browser-network.ts';

export const browserEnvironment: Environment = {
  now: () => Date.now(),
  random: () => crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32,
  schedule(run, afterMs) {
    const timer = setTimeout(run, afterMs);
    return () => clearTimeout(timer);
  },
};

export const connectToRelay = (relay: {
  readonly url: string;
  readonly token?: string;
}): RelayConnection =>
  createRelayConnection({ ...browserEnvironment, ...browserNetwork, ...relay });

/** What registration, linking and an account work with. With the token of an identity it speaks as that device. */
export async function openBrowserDevice(device: {
  readonly url: string;
  readonly store: Store;
  readonly token?: string;
}): Promise<DeviceContext> {
  const { store, ...relay } = device;
  const provider = await browserProvider();
  const engine = createEngine(provider);
  const connection = connectToRelay(relay);
  return { connection, store, engine, provider, environment: browserEnvironment };
}

/** `name` is the app's own, one for each account that this profile holds. */
export const openBrowserStore = (name: string): Promise<Store<undefined>> =>
  openIndexedDbStore({ indexedDB, name });

/** For ever: keys, chats and all. */
export const deleteBrowserStore = (name: string): Promise<void> =>
  deleteIndexedDbStore({ indexedDB, name });

/** To be held before the store is written; the same name as the store's. */
export const browserEngineLock = (name: string): EngineLock =>
  createWebLock(navigator.locks, `siegel-engine/${name}`);
