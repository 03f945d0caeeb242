// The second step of a registration: prove the number with the code, and learn the account id that the device keys are
// made for (A2, A4, A5). Only here, after the proof, does the answer depend on whether the number is known.

import { timingSafeEqual } from 'node:crypto';
import { AccountId, bucketCount, DeviceId, uuidInBucket } from '@siegel/protocol/ids';
import type { verifyCode } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import { hashSecret } from '../device-token.ts';
import type { Rule } from '../http/route.ts';
import { randomBelow, toBytes, toText } from '../octets.ts';
import { readFacts, readNumber } from './account-store.ts';
import { noteProven, type Proven, takeTry } from './registration-store.ts';
import { hashCode } from './request-code.ts';

export type VerifyCodePorts = BasePorts & {
  readonly codeSecret: Uint8Array;
  readonly operatorKeyId: string;
};

/** Time to make keys and to type a PIN. */
const tokenMinutes = 30;

export const proveNumber =
  (ports: VerifyCodePorts): Rule<typeof verifyCode> =>
  async (_caller, { registrationId, code }) => {
    const { database, now, random, codeSecret, operatorKeyId } = ports;
    const id = toBytes(registrationId);
    const registration = await takeTry(database, id, now());
    if (registration === undefined) return { outcome: 'registration-over' };
    if (!timingSafeEqual(registration.code_hash, hashCode(codeSecret, id, code))) {
      return { outcome: 'wrong-code', triesLeft: registration.tries_left };
    }
    const target = await targetOf(ports, registration.number);
    if (target === undefined) return { outcome: 'registration-over' };
    const token = Buffer.from(random(32));
    const expiresAt = now() + tokenMinutes * 60_000;
    const proven = { ...target, id, tokenHash: hashSecret(token), expiresAt };
    if (!(await noteProven(database, proven))) return { outcome: 'registration-over' };
    return {
      outcome: 'verified',
      registrationToken: toText(token),
      accountId: target.accountId,
      pinRequired: target.takesOver,
      deviceId: target.deviceId,
      operatorKeyId,
    };
  };

type Target = Pick<Proven, 'accountId' | 'takesOver' | 'previousAccount' | 'deviceId'>;

/**
 * An account that a PIN protects can be taken over with it. Without a PIN nothing shows that the holder of the number is
 * still the same person, so it becomes a new account (design §10: a recycled number is a new account).
 */
async function targetOf(ports: VerifyCodePorts, number: string): Promise<Target | undefined> {
  const { database, random } = ports;
  const holder = await readNumber(database, number);
  if (holder !== undefined && holder.phone_number_id !== null) return undefined;
  const previousAccount = holder?.account_id ?? null;
  const facts = holder && (await readFacts(database, holder.account_id));
  if (holder && facts?.pin_hash) {
    const { account_id: accountId } = holder;
    return { accountId, takesOver: true, previousAccount, deviceId: facts.next_device_id };
  }
  const fresh = uuidInBucket(randomBelow(random, bucketCount), random(16));
  return {
    accountId: AccountId.parse(fresh),
    takesOver: false,
    previousAccount,
    deviceId: DeviceId.parse(1),
  };
}
