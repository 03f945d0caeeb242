// The entry of Node programs (gateway, tools, tests): system time, Node's network. The store is the program's own choice.

import { randomInt } from 'node:crypto';
import { nodeNetwork } from './connection/node-network.ts';
import type { Environment } from './environment.ts';
import { createRelayConnection, type RelayConnection } from './relay-connection.ts';

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
