// The entry of Node programs (gateway, tools, tests): system time, Node's network and cryptography. The store is the
// program's own choice.

import { randomInt } from 'node:crypto';
import { createEngine } from '@siegel/crypto';
import { nodeProvider } from '@siegel/crypto/node';
import { nodeNetwork } from './connection/node-network.ts';
import type { DeviceContext } from './device-context.ts';
import type { Environment } from './environment.ts';
import { createRelayConnection, type RelayConnection } from './relay-connection.ts';
import type { Store } from './store.ts';

export { nodeNetwork } from './connection/node-network.ts';
export { createMemoryShelf, createMemoryStore, type MemoryShelf } from './stores/memory.ts';

export const nodeEnvironment: Environment = {
  now: () => Date.now(),
  random: () => randomInt(2 ** 32) / 2 ** 32,
  schedule(run, afterMs) {
    const timer = setTimeout(run, afterMs);
    return () => clearTimeout(timer);
  },
};

export const connectToRelay = (relay: {
  readonly url: string;
  readonly token?: string;
}): RelayConnection => createRelayConnection({ ...nodeEnvironment, ...nodeNetwork, ...relay });

/** What registration, linking, enrolment and an account work with. With the token of an identity it speaks as that device. */
export async function openNodeDevice(device: {
  readonly url: string;
  readonly store: Store;
  readonly token?: string;
}): Promise<DeviceContext> {
  const { store, ...relay } = device;
  const provider = await nodeProvider();
  const engine = createEngine(provider);
  const connection = connectToRelay(relay);
  return { connection, store, engine, provider, environment: nodeEnvironment };
}
