// Persons and businesses with real keys, made without the SDK: what the relay's tests need to register, link and enrol.

import { randomBytes } from 'node:crypto';
import {
  type AccountKey,
  createAccountKey,
  createEngine,
  createSigningKey,
  type DeviceIdentity,
  type Engine,
  type SigningKey,
  signDeviceList,
  signLeafCertificate,
} from '@siegel/crypto';
import { nodeProvider } from '@siegel/crypto/node';
import { type AccountId, DeviceId, type NumericId, PhoneNumber } from '@siegel/protocol/ids';
import {
  completeEnrolment,
  createAccount,
  type DeviceList,
  openEnrolment,
  registerBusiness,
  requestCode,
  type StatementType,
  verifyCode,
} from '@siegel/protocol/relay';
import { expect } from 'vitest';
import * as z from 'zod/mini';
import type { RelayTest } from './relay-world.ts';

export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
export const deviceId = (id: number): DeviceId => DeviceId.parse(id);

let engine: Engine | undefined;

export type TestDevice = { readonly id: DeviceId; readonly leafKey: SigningKey };

export type TestPerson = {
  readonly number: PhoneNumber;
  readonly accountId: AccountId;
  readonly key: AccountKey;
  readonly device: TestDevice;
  readonly token: string;
  /** The list as it was signed last. */
  readonly list: DeviceList;
  readonly signedList: string;
  readonly numberStatement: string;
};

let numbers = 0;
/** A number nobody else in this file has. */
export const freshNumber = (): PhoneNumber => {
  numbers += 1;
  return PhoneNumber.parse(`+4930${String(23_125_000 + numbers)}`);
};

export async function newDevice(id: number): Promise<TestDevice> {
  return { id: deviceId(id), leafKey: await createSigningKey() };
}

type Holder = { readonly accountId: AccountId; readonly key: AccountKey };

export function listOf(
  { accountId, key }: Holder,
  devices: readonly TestDevice[],
  changes: Partial<DeviceList> = {},
): DeviceList {
  return {
    ...{ v: 1, sub: accountId, key: text(key.publicKey), version: 1, iat: 1_700_000_000 },
    next: deviceId(Math.max(0, ...devices.map(({ id }) => id)) + 1),
    devices: devices.map(({ id, leafKey }) => ({
      ...{ id, leaf: text(leafKey.publicKey), added: 1_700_000_000 },
      role: id === 1 ? 'main' : 'linked',
    })),
    ...changes,
  };
}

/** The code of the newest SMS to this number. */
export async function codeFor(town: RelayTest, number: string): Promise<string> {
  const response = await town.send(`/sms-inbox?number=${encodeURIComponent(number)}`);
  const texts = (await response.json()) as { text: string }[];
  const code = /\b\d{6}\b/.exec(texts[0]?.text ?? '')?.[0];
  expect(code, `an SMS to ${number}`).toBeDefined();
  return code ?? '';
}

/** Up to and including the right code. */
export async function proveNumber(town: RelayTest, number: PhoneNumber) {
  const sent = await town.call(requestCode, { number });
  if (sent.outcome !== 'code-sent') throw new Error(sent.outcome);
  const { registrationId } = sent;
  const code = await codeFor(town, number);
  const verified = await town.call(verifyCode, { registrationId, code });
  if (verified.outcome !== 'verified') throw new Error(verified.outcome);
  return verified;
}

type Registering = {
  readonly number?: PhoneNumber;
  readonly newPin?: string;
  readonly pin?: string;
  readonly key?: AccountKey;
  readonly version?: number;
};

export async function registerPerson(
  town: RelayTest,
  options: Registering = {},
): Promise<TestPerson> {
  const { number = freshNumber(), key = await createAccountKey(), version = 1 } = options;
  const verified = await proveNumber(town, number);
  const { accountId, registrationToken } = verified;
  const device = await newDevice(verified.deviceId);
  const list = listOf({ accountId, key }, [device], { version });
  const signedList = await signDeviceList(list, key);
  const created = await town.call(createAccount, {
    ...{ registrationToken, deviceList: signedList, accountKey: text(key.publicKey) },
    ...(options.newPin === undefined ? {} : { newPin: options.newPin }),
    ...(options.pin === undefined ? {} : { pin: options.pin }),
  });
  if (created.outcome !== 'created') throw new Error(JSON.stringify(created));
  const { deviceToken: token, numberStatement } = created;
  return { number, accountId, key, device, token, list, signedList, numberStatement };
}

export type TestBusiness = Holder & {
  readonly device: TestDevice;
  readonly token: string;
  readonly number: PhoneNumber;
  readonly phoneNumberId: NumericId;
  readonly wabaId: NumericId;
  readonly certificates: readonly string[];
  readonly list: DeviceList;
};

export const enrolmentOf = (numbers: readonly PhoneNumber[]) => ({
  legalName: 'Bäckerei Sonnenschein GmbH',
  country: 'DE',
  registerEntry: 'HRB 12345, Amtsgericht Köln',
  evidence: 'register-extract',
  level: 'badge' as const,
  numbers: numbers.map((number) => ({ number, displayName: 'Bäckerei Sonnenschein' })),
});

export async function enrolBusiness(town: RelayTest): Promise<TestBusiness> {
  const number = freshNumber();
  const registered = await town.call(registerBusiness, enrolmentOf([number]), town.operatorToken);
  if (registered.outcome !== 'registered') throw new Error(registered.outcome);
  const { enrolmentCode: code, business } = registered;
  const opened = await town.call(openEnrolment, { code });
  if (opened.outcome !== 'opened') throw new Error(opened.outcome);
  const { accountId } = business;
  const key = await createAccountKey();
  const device = await newDevice(opened.deviceId);
  const list = listOf({ accountId, key }, [device]);
  const enrolled = await town.call(completeEnrolment, {
    ...{ code, accountKey: text(key.publicKey), keysHostedBy: 'the firm itself' },
    deviceList: await signDeviceList(list, key),
  });
  if (enrolled.outcome !== 'enrolled') throw new Error(JSON.stringify(enrolled));
  const [first] = business.numbers;
  if (first === undefined) throw new Error('the business has no number');
  const { phoneNumberId, wabaId } = first;
  const { deviceToken: token, certificates } = enrolled;
  return { accountId, key, device, token, number, phoneNumberId, wabaId, certificates, list };
}

export const certify = (
  { accountId, key }: Holder,
  { id, leafKey }: TestDevice,
  now: number,
): Promise<string> =>
  signLeafCertificate(
    {
      ...{ v: 1, sub: accountId, key: text(key.publicKey), dev: id },
      leaf: text(leafKey.publicKey),
      iat: Math.floor(now / 1000),
      exp: Math.floor(now / 1000) + 80 * 86_400,
    },
    key,
  );

type Packing = { readonly now: number; readonly lastResort?: boolean; readonly days?: number };

/** As it is uploaded. */
export async function keyPackageOf(
  holder: Holder,
  device: TestDevice,
  { now, lastResort = false, days = 60 }: Packing,
): Promise<string> {
  engine ??= createEngine(await nodeProvider());
  const certificate = await certify(holder, device, now);
  const identity: DeviceIdentity = { certificate, leafKey: device.leafKey };
  const made = await engine.newKeyPackage({ identity, now, lifetimeDays: days, lastResort });
  return text(made.publicBytes);
}

export const randomText = (bytes: number): string => randomBytes(bytes).toString('base64url');

/** A kind of statement whose body is signed as it is, as another client might. */
export const unchecked = (type: StatementType) => ({ type, schema: z.any() });
