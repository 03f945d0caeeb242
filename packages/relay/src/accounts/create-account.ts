// The last step of a registration: account key and first device list become an account, or replace the keys of an account
// whose PIN was given (A4–A6, D1).

import type { Queryable } from '@siegel/database';
import { type AccountId, bucketOf, type DeviceId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { createAccount, RequestOf } from '@siegel/protocol/relay';
import { hashSecret, tokenInBucket } from '../device-token.ts';
import type { Answer, Rule } from '../http/route.ts';
import { toBytes } from '../octets.ts';
import {
  bindNumber,
  insertPerson,
  lastSeenAt,
  readFacts,
  releaseNumber,
  writePin,
} from './account-store.ts';
import type { StateNumber } from './number-statement.ts';
import { checkPin, hashPin, type PinPorts } from './pin.ts';
import { findByToken, type Registration, useUp } from './registration-store.ts';

/** What publishing the first list answers; owed by the devices. */
type FirstListPublished =
  | { readonly outcome: 'published'; readonly keyReplaced: boolean }
  | { readonly outcome: 'list-refused'; readonly reason: string }
  | { readonly outcome: 'version-conflict'; readonly version: number };

export type CreateAccountPorts = PinPorts & {
  readonly stateNumber: StateNumber;
  readonly publishFirstList: (
    transaction: Queryable,
    publication: {
      readonly accountId: AccountId;
      readonly accountKey: string;
      readonly signed: string;
      readonly first: { readonly deviceId: DeviceId; readonly tokenHash: Buffer };
      readonly now: number;
    },
  ) => Promise<FirstListPublished>;
  readonly endRevokedDevices: (accountId: AccountId) => Promise<void>;
  readonly endWindows: (accountId: AccountId) => Promise<void>;
  readonly devicesChanged: (accountId: AccountId) => void;
};

type Request = RequestOf<typeof createAccount>;
type Created = Answer<typeof createAccount>;

const over = { outcome: 'registration-over' } as const;

export const registerAccount =
  (ports: CreateAccountPorts): Rule<typeof createAccount> =>
  async (_caller, request) => {
    const { database, now } = ports;
    const tokenHash = hashSecret(toBytes(request.registrationToken));
    const registration = await findByToken(database, tokenHash, now());
    const { account_id: accountId, device_id: deviceId } = registration ?? {};
    if (registration === undefined || !accountId || !deviceId) return over;
    if (registration.takes_over) {
      const refusal = await pinRefusal(ports, { registration, accountId, pin: request.pin });
      if (refusal !== undefined) return refusal;
    }
    return write(ports, { registration, accountId, deviceId, request });
  };

type Takeover = {
  readonly registration: Registration;
  readonly accountId: AccountId;
  readonly pin: string | undefined;
};

/**
 * Without the PIN a number waits until no device of its account was seen for seven days; then this registration ends, the
 * number is free, and registering once more makes a new account (A5).
 */
async function pinRefusal(ports: CreateAccountPorts, takeover: Takeover) {
  const { registration, accountId, pin } = takeover;
  if (pin !== undefined) {
    const checked = await checkPin(ports, accountId, pin);
    if (checked.right) return undefined;
    return { outcome: 'pin-wrong', retryAfterSeconds: checked.retryAfterSeconds } as const;
  }
  const { database, now } = ports;
  const facts = await readFacts(database, accountId);
  const seen = await lastSeenAt(database, accountId);
  const locked = Math.max(seen, facts?.pin_set_at ?? 0, facts?.created_at ?? 0);
  const left = locked + limits.registrationLockDays * 86_400_000 - now();
  if (left > 0) {
    return { outcome: 'pin-wrong', retryAfterSeconds: Math.ceil(left / 1000) } as const;
  }
  await releaseNumber(database, registration.number, accountId);
  await ports.endWindows(accountId);
  return over;
}

type Writing = {
  readonly registration: Registration;
  readonly accountId: AccountId;
  readonly deviceId: DeviceId;
  readonly request: Request;
};

/** Rolls the transaction back and is the answer at the same time. */
class Refused extends Error {
  readonly answer: Created;
  constructor(answer: Created) {
    super('registration refused');
    this.answer = answer;
  }
}

async function write(ports: CreateAccountPorts, writing: Writing): Promise<Created> {
  const { registration, accountId } = writing;
  const { database, random, now } = ports;
  const deviceToken = tokenInBucket(bucketOf(accountId), random(32));
  const { newPin } = writing.request;
  const pinHash = newPin === undefined ? undefined : await hashPin(ports, newPin);
  let keyReplaced = false;
  try {
    keyReplaced = await database.transaction((transaction) =>
      store(ports, transaction, { ...writing, deviceToken, pinHash }),
    );
  } catch (refused) {
    if (refused instanceof Refused) return refused.answer;
    throw refused;
  }
  await ports.endRevokedDevices(accountId);
  if (registration.takes_over) ports.devicesChanged(accountId);
  // Windows belong to the old key, or to whoever had this number before (design §4).
  const before = registration.takes_over ? keyReplaced : registration.previous_account !== null;
  if (before) await ports.endWindows(registration.previous_account ?? accountId);
  const { accountKey } = writing.request;
  const { number } = registration;
  const numberStatement = await ports.stateNumber({ accountId, accountKey, number, now: now() });
  return { outcome: 'created', deviceToken, numberStatement };
}

type Storing = Writing & { readonly deviceToken: string; readonly pinHash: string | undefined };

/** True when an earlier account key was replaced. */
async function store(
  ports: CreateAccountPorts,
  transaction: Queryable,
  storing: Storing,
): Promise<boolean> {
  const { registration, accountId, deviceId, request, deviceToken, pinHash } = storing;
  const now = ports.now();
  if (!(await useUp(transaction, registration.registration_id))) throw new Refused(over);
  const { number, previous_account: previous } = registration;
  if (!registration.takes_over) await insertPerson(transaction, accountId, now);
  if (!(await bindNumber(transaction, { number, accountId, previous, at: now }))) {
    throw new Refused(over);
  }
  if (!registration.takes_over && previous !== null) {
    // The holder may have set a PIN after the code was right: then it protects the number already.
    const facts = await readFacts(transaction, previous);
    if (facts?.pin_hash) throw new Refused(over);
  }
  const published = await ports.publishFirstList(transaction, {
    accountId,
    accountKey: request.accountKey,
    signed: request.deviceList,
    first: { deviceId, tokenHash: hashSecret(toBytes(deviceToken)) },
    now,
  });
  if (published.outcome !== 'published') {
    const reason = 'reason' in published ? published.reason : 'The version is not the next one.';
    throw new Refused({ outcome: 'list-refused', reason });
  }
  if (pinHash !== undefined) await writePin(transaction, accountId, { hash: pinHash, setAt: now });
  return published.keyReplaced;
}
