// A device of the tests: real cryptography, a store whose shelf survives a crash, real connections to the given relay.

import { createEngine } from '@siegel/crypto';
import { nodeProvider } from '@siegel/crypto/node';
import { PhoneNumber } from '@siegel/protocol/ids';
import { nodeNetwork } from '../src/connection/node-network.ts';
import type { DeviceContext } from '../src/device-context.ts';
import type { Identity } from '../src/identity.ts';
import { nodeEnvironment } from '../src/node.ts';
import {
  finishRegistration,
  proveNumber,
  type RegistrationFinish,
  startRegistration,
} from '../src/registration.ts';
import { createRelayConnection, type RelayConnection } from '../src/relay-connection.ts';
import type { Store } from '../src/store.ts';
import { createMemoryShelf, createMemoryStore } from '../src/stores/memory.ts';

const provider = await nodeProvider();
const engine = createEngine(provider);

export type TestDevice = DeviceContext & {
  /** With the identity's token. */
  as(identity: Identity): DeviceContext;
  /** Everything in memory is gone; what was committed stays. */
  crash(): TestDevice;
};

/** Time is the system's for waiting, so that back-off is real and short, and `now` is the test's. */
export function createTestDevice(
  relay: { readonly url: string; readonly now: number },
  shelf = createMemoryShelf(),
): TestDevice {
  const environment = {
    ...nodeEnvironment,
    now: () => relay.now,
    random: () => 0,
  };
  const connectionOf = (token?: string): RelayConnection =>
    createRelayConnection({
      ...environment,
      ...nodeNetwork,
      url: relay.url,
      ...(token === undefined ? {} : { token }),
    });
  const store: Store<undefined> = createMemoryStore(shelf);
  const context = { connection: connectionOf(), store, engine, provider, environment };
  return {
    ...context,
    as: (identity) => ({ ...context, connection: connectionOf(identity.deviceToken) }),
    crash: () => createTestDevice(relay, shelf),
  };
}

export const aliceNumber = PhoneNumber.parse('+4915112345678');

export async function register(
  device: DeviceContext,
  options: RegistrationFinish & { readonly code: (number: string) => string | Promise<string> },
): Promise<Identity> {
  const { code, ...finish } = options;
  const sent = await startRegistration(device, { number: aliceNumber });
  if (sent.outcome !== 'code-sent') throw new Error(sent.outcome);
  const proven = await proveNumber(device, await code(aliceNumber));
  if (proven.outcome !== 'verified') throw new Error(proven.outcome);
  const registered = await finishRegistration(device, finish);
  if (registered.outcome !== 'registered') throw new Error(registered.outcome);
  return registered.identity;
}
