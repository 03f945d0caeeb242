// What account life works with: the relay, the store, the cryptography and the platform's time.

import type { CryptoProvider, Engine } from '@siegel/crypto';
import type { Environment } from './environment.ts';
import type { RelayConnection } from './relay-connection.ts';
import type { Store } from './store.ts';

export type DeviceContext = {
  readonly connection: RelayConnection;
  readonly store: Store;
  readonly engine: Engine;
  readonly provider: CryptoProvider;
  readonly environment: Environment;
};

/** Statements count in seconds (RFC 7519 NumericDate), everything else in milliseconds. */
export const nowInSeconds = ({ environment }: Pick<DeviceContext, 'environment'>): number =>
  Math.floor(environment.now() / 1000);

export const secondsPerDay = 24 * 60 * 60;
