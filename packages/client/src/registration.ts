// A person's first device: number, code, PIN, keys. Everything is stored before it is published, so that a crash at any
// point is gone on from, and a lost answer costs another code but never the account key.

import { type SigningKey, verifyDeviceList } from '@siegel/crypto';
import { toBase64Url } from '@siegel/protocol/content';
import { SiegelError } from '@siegel/protocol/errors';
import { AccountId, DeviceId, PhoneNumber } from '@siegel/protocol/ids';
import {
  type AnswerOf,
  createAccount,
  DeviceList,
  requestCode,
  Token,
  verifyCode,
} from '@siegel/protocol/relay';
import * as z from 'zod/mini';
import { type DeviceContext, nowInSeconds } from './device-context.ts';
import { FirstDevice, makeFirstDevice } from './device-keys.ts';
import { ownDeviceListWrite } from './device-list.ts';
import { type Identity, identityWrite, readUnfinished, unfinishedWrite } from './identity.ts';
import { type KeyPackagesKept, keepKeyPackages } from './key-packages.ts';
import { checkNumberStatement, operatorOf } from './operator.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import type { Store } from './store.ts';

const RegistrationRecord = z.object({
  v: z.literal(1),
  number: PhoneNumber,
  registrationId: z.string(),
  expiresAt: z.int(),
  /** set by the right code */
  verified: z.optional(
    z.object({
      registrationToken: Token,
      accountId: AccountId,
      deviceId: DeviceId,
      pinRequired: z.boolean(),
    }),
  ),
  /** keys made for `accountId`; kept over further registrations of the same account */
  device: z.optional(z.object({ accountId: AccountId, first: FirstDevice, list: DeviceList })),
});
type RegistrationRecord = z.infer<typeof RegistrationRecord>;

/** What a person who opens the app again has to do next. */
export type RegistrationStage =
  | { readonly stage: 'none' }
  | { readonly stage: 'code-sent'; readonly number: PhoneNumber; readonly expiresAt: number }
  | { readonly stage: 'verified'; readonly number: PhoneNumber; readonly pinRequired: boolean };

export async function registrationStage(store: Store): Promise<RegistrationStage> {
  const record = await readRecord(store);
  if (record === undefined) return { stage: 'none' };
  const { number, expiresAt, verified } = record;
  return verified === undefined
    ? { stage: 'code-sent', number, expiresAt }
    : { stage: 'verified', number, pinRequired: verified.pinRequired };
}

async function readRecord(store: Store): Promise<RegistrationRecord | undefined> {
  const bytes = await readUnfinished(store, 'registration');
  return bytes === undefined ? undefined : decodeRecord(RegistrationRecord, bytes, 'registration');
}

const write = (record: RegistrationRecord) =>
  unfinishedWrite('registration', encodeRecord(RegistrationRecord, record));

export async function startRegistration(
  context: DeviceContext,
  request: { readonly number: PhoneNumber; readonly language?: 'de' | 'en' },
): Promise<AnswerOf<typeof requestCode>> {
  const answer = await context.connection.call(requestCode, request);
  if (answer.outcome !== 'code-sent') return answer;
  const earlier = await readRecord(context.store);
  const expiresAt = context.environment.now() + answer.expiresInSeconds * 1000;
  const { registrationId } = answer;
  await context.store.commit([
    write({
      v: 1,
      number: request.number,
      registrationId,
      expiresAt,
      ...(earlier?.device === undefined ? {} : { device: earlier.device }),
    }),
  ]);
  return answer;
}

export type NumberProven =
  | { readonly outcome: 'verified'; readonly pinRequired: boolean }
  | Exclude<AnswerOf<typeof verifyCode>, { outcome: 'verified' }>;

export async function proveNumber(context: DeviceContext, code: string): Promise<NumberProven> {
  const record = await readRecord(context.store);
  if (record === undefined) return { outcome: 'registration-over' };
  const { registrationId } = record;
  const answer = await context.connection.call(verifyCode, { registrationId, code });
  if (answer.outcome !== 'verified') return answer;
  const { registrationToken, accountId, deviceId, pinRequired } = answer;
  const verified = { registrationToken, accountId, deviceId, pinRequired };
  await context.store.commit([write({ ...record, verified })]);
  return { outcome: 'verified', pinRequired };
}

export type Registered =
  | {
      readonly outcome: 'registered';
      readonly identity: Identity;
      /** undefined when the relay could not be reached any more: the account makes up for it when it opens */
      readonly keyPackages: KeyPackagesKept | undefined;
    }
  | { readonly outcome: 'operator-unknown' }
  | Exclude<AnswerOf<typeof createAccount>, { outcome: 'created' }>;

export type RegistrationFinish = {
  readonly pin?: string;
  readonly newPin?: string;
  /** from a backup: the account key stays, so nobody sees a changed one */
  readonly restored?: { readonly accountKey: SigningKey; readonly listVersion: number };
  /** the operator's keys this program was delivered with */
  readonly operatorKeys?: readonly string[];
};

/** May be called again after a wrong PIN, a lost connection or a crash. */
export async function finishRegistration(
  context: DeviceContext,
  finish: RegistrationFinish = {},
): Promise<Registered> {
  const record = await readRecord(context.store);
  if (record?.verified === undefined) return { outcome: 'registration-over' };
  // Before anything is published: the answer is to be checked with these keys.
  const operator = await operatorOf(context, finish.operatorKeys);
  if (operator === undefined) return { outcome: 'operator-unknown' };
  const kept = finish.restored ?? keptKey(record);
  let prepared = await prepare(context, record, kept);
  let answer = await publish(context, prepared, finish);
  if (answer.outcome === 'list-refused' && kept !== undefined && finish.restored === undefined) {
    // The relay never got what this key signed, so nobody has seen it: it begins anew. A restored key is never given up.
    prepared = await prepare(context, record, undefined);
    answer = await publish(context, prepared, finish);
  }
  if (answer.outcome !== 'created') {
    if (answer.outcome === 'registration-over') await forgetVerified(context, prepared);
    return answer;
  }
  const { first, list, accountId } = prepared.device;
  const checked = await checkNumberStatement(operator, answer.numberStatement, {
    accountId,
    accountKey: first.accountKey,
    number: record.number,
    nowSeconds: nowInSeconds(context),
  });
  if (checked.outcome !== 'valid') {
    throw new SiegelError('relay-refused', `number statement: ${checked.reason}`);
  }
  const identity: Identity = {
    v: 1,
    accountId,
    deviceId: prepared.verified.deviceId,
    kind: 'person',
    role: 'main',
    accountKey: first.accountKey,
    accountSigningKey: first.accountSigningKey,
    leafKey: first.leafKey,
    certificate: first.certificate,
    deviceToken: answer.deviceToken,
    number: record.number,
    numberStatement: answer.numberStatement,
  };
  await context.store.commit([
    identityWrite(identity),
    ownDeviceListWrite(first.deviceList, list),
    unfinishedWrite('registration', undefined),
  ]);
  return {
    outcome: 'registered',
    identity,
    keyPackages: await firstKeyPackages(context, identity),
  };
}

type Prepared = RegistrationRecord & {
  readonly verified: NonNullable<RegistrationRecord['verified']>;
  readonly device: NonNullable<RegistrationRecord['device']>;
};

/** An earlier try made an account key, and its answer may have been lost: A6 keeps the account, this keeps its key. */
function keptKey(record: RegistrationRecord): RegistrationFinish['restored'] {
  const { device, verified } = record;
  return device !== undefined && device.accountId === verified?.accountId
    ? { accountKey: device.first.accountSigningKey, listVersion: device.list.version }
    : undefined;
}

/** Makes the keys for this account and device, or takes those already made for this very attempt. */
async function prepare(
  context: DeviceContext,
  record: RegistrationRecord,
  kept: RegistrationFinish['restored'],
): Promise<Prepared> {
  const verified = record.verified!;
  const known = record.device;
  const isOfThisAttempt =
    known !== undefined &&
    kept !== undefined &&
    known.accountId === verified.accountId &&
    known.list.devices.some(({ id }) => id === verified.deviceId);
  if (isOfThisAttempt) return { ...record, verified, device: known };
  const { accountId, deviceId } = verified;
  const first = await makeFirstDevice({
    accountId,
    deviceId,
    role: 'main',
    nowSeconds: nowInSeconds(context),
    ...(kept === undefined ? {} : { kept }),
  });
  const signed = await verifyDeviceList(first.deviceList, { expectedKey: first.accountKey });
  if (signed.outcome !== 'valid') throw new Error('Assertion failed: own list is valid');
  const device = { accountId, first, list: signed.statement };
  await context.store.commit([write({ ...record, device })]);
  return { ...record, verified, device };
}

const publish = (
  context: DeviceContext,
  { verified, device }: Prepared,
  { pin, newPin }: RegistrationFinish,
): Promise<AnswerOf<typeof createAccount>> =>
  context.connection.call(createAccount, {
    registrationToken: verified.registrationToken,
    accountKey: toBase64Url(device.first.accountSigningKey.publicKey),
    deviceList: device.first.deviceList,
    ...(pin === undefined ? {} : { pin }),
    ...(newPin === undefined ? {} : { newPin }),
  });

/** The keys stay: the next code may find the account that this attempt has made. */
async function forgetVerified(context: DeviceContext, prepared: Prepared): Promise<void> {
  const { verified: _, ...record } = prepared;
  await context.store.commit([write(record)]);
}

/** The first supply. An unreachable relay is no reason to call a registered account unregistered. */
export async function firstKeyPackages(
  context: DeviceContext,
  identity: Identity,
): Promise<KeyPackagesKept | undefined> {
  const connection = context.connection.withToken(identity.deviceToken);
  try {
    return await keepKeyPackages({ ...context, connection }, identity, 0);
  } catch (error) {
    if (error instanceof SiegelError && error.retryable) return undefined;
    throw error;
  } finally {
    await connection.close();
  }
}

/** Gives up: a person who wants to begin with another number. */
export const abandonRegistration = (store: Store): Promise<void> =>
  store.commit([unfinishedWrite('registration', undefined)]);
