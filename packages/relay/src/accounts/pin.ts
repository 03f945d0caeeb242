// The PIN that protects a number against a SIM swap (A5): Argon2id under a secret of the relay, and waits that grow.

import { createHmac } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';
import type { AccountId } from '@siegel/protocol/ids';
import type { setPin } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import type { Rule } from '../http/route.ts';
import { endPinTries, takePinTry, writePin } from './account-store.ts';

export type PinPorts = BasePorts & {
  /** From the operator's key file: a stolen database alone lets nobody try PINs. */
  readonly codeSecret: Uint8Array;
};

const hour = 3600;
/** Seconds after the first, second, … wrong try; the first day allows eleven, each later one one. */
const pinWaits = [5, 10, 30, 60, 300, 900, hour, 2 * hour, 4 * hour, 8 * hour, 24 * hour];

/** OWASP's second choice of parameters: 19 MiB, two passes, one lane. The library's default kind is Argon2id. */
const argon2 = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

const withSecret = ({ codeSecret }: PinPorts) => ({
  ...argon2,
  secret: createHmac('sha256', codeSecret).update('pin').digest(),
});

export const hashPin = (ports: PinPorts, pin: string): Promise<string> =>
  hash(pin, withSecret(ports));

export type PinChecked =
  | { readonly right: true }
  | { readonly right: false; readonly retryAfterSeconds: number };

/** While a wait runs, right and wrong are answered alike and nothing is compared. */
export async function checkPin(
  ports: PinPorts,
  accountId: AccountId,
  pin: string,
): Promise<PinChecked> {
  const now = ports.now();
  const taken = await takePinTry(ports.database, accountId, { now, waits: pinWaits });
  const { pinHash, lockedUntil } = taken;
  if (pinHash === undefined || !(await verify(pinHash, pin, withSecret(ports)))) {
    return wrong(lockedUntil - now);
  }
  await endPinTries(ports.database, accountId);
  return { right: true };
}

const wrong = (milliseconds: number): PinChecked => ({
  right: false,
  retryAfterSeconds: Math.max(1, Math.ceil(milliseconds / 1000)),
});

export const changePin =
  (ports: PinPorts): Rule<typeof setPin> =>
  async ({ accountId }, { pin }) => {
    const hashed = await hashPin(ports, pin);
    await writePin(ports.database, accountId, { hash: hashed, setAt: ports.now() });
    return { outcome: 'set' };
  };
