// What every rule may ask of the world: the store, the time, fresh octets. Each comes in as an argument, so that a test sets it.

import type { Database } from '@siegel/database';

export type BasePorts = {
  readonly database: Database;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** So many octets from a cryptographic source. */
  readonly random: (bytes: number) => Uint8Array;
};
