// A business's first gateway or app: it redeems the one-time code and makes the business key, here and nowhere else (E3).

import { verifyDeviceList } from '@siegel/crypto';
import { SiegelError } from '@siegel/protocol/errors';
import { type AccountId, DeviceId } from '@siegel/protocol/ids';
import {
  type AnswerOf,
  BusinessProfile,
  completeEnrolment,
  EnrolmentCode,
  getBusiness,
  openEnrolment,
} from '@siegel/protocol/relay';
import * as z from 'zod/mini';
import { inGroups, normaliseBase32 } from './base32.ts';
import { type DeviceContext, nowInSeconds } from './device-context.ts';
import { FirstDevice, makeFirstDevice } from './device-keys.ts';
import { ownDeviceListWrite } from './device-list.ts';
import { type Identity, identityWrite, readUnfinished, unfinishedWrite } from './identity.ts';
import type { KeyPackagesKept } from './key-packages.ts';
import { checkBusinessCertificate, operatorOf, type PinnedOperator } from './operator.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import { firstKeyPackages } from './registration.ts';

const EnrolmentRecord = z.object({
  v: z.literal(1),
  code: EnrolmentCode,
  business: BusinessProfile,
  deviceId: DeviceId,
  keysHostedBy: z.string(),
  first: FirstDevice,
});
type EnrolmentRecord = z.infer<typeof EnrolmentRecord>;

/** As it was typed or pasted; undefined when it is no enrolment code. */
export function readEnrolmentCode(typed: string): string | undefined {
  if (typed.length > 100) return undefined;
  const code = EnrolmentCode.safeParse(inGroups(normaliseBase32(typed)));
  return code.success ? code.data : undefined;
}

export type EnrolmentOpened =
  | { readonly outcome: 'code-malformed' }
  | AnswerOf<typeof openEnrolment>;

/** What the code enrols, to be shown before anything is made. */
export async function lookAtEnrolment(
  context: DeviceContext,
  typed: string,
): Promise<EnrolmentOpened> {
  const code = readEnrolmentCode(typed);
  if (code === undefined) return { outcome: 'code-malformed' };
  return context.connection.call(openEnrolment, { code });
}

export type Enrolled =
  | {
      readonly outcome: 'enrolled';
      readonly identity: Identity;
      readonly keyPackages: KeyPackagesKept | undefined;
    }
  | { readonly outcome: 'code-malformed' | 'operator-unknown' }
  | Exclude<AnswerOf<typeof completeEnrolment>, { outcome: 'enrolled' }>;

/**
 * May be called again after a crash or a lost answer: the same code then comes with the same key and list, so the relay can
 * tell the same redeemer from a second one.
 */
export async function enrolBusiness(
  context: DeviceContext,
  request: {
    readonly code: string;
    readonly role: 'gateway' | 'app';
    /** who runs this machine; a certificate says it to every person (design §2) */
    readonly keysHostedBy: string;
    readonly operatorKeys?: readonly string[];
  },
): Promise<Enrolled> {
  const code = readEnrolmentCode(request.code);
  if (code === undefined) return { outcome: 'code-malformed' };
  const operator = await operatorOf(context, request.operatorKeys);
  if (operator === undefined) return { outcome: 'operator-unknown' };
  const prepared = await prepare(context, { ...request, code });
  if ('outcome' in prepared) return prepared;
  const { first } = prepared;
  const answer = await context.connection.call(completeEnrolment, {
    code,
    accountKey: first.accountKey,
    deviceList: first.deviceList,
    keysHostedBy: prepared.keysHostedBy,
  });
  if (answer.outcome !== 'enrolled') return answer;
  const { business } = answer;
  if (business.accountId !== prepared.business.accountId) {
    throw new SiegelError('relay-refused', 'another business than the code opened');
  }
  const identity: Identity = {
    v: 1,
    accountId: business.accountId,
    deviceId: prepared.deviceId,
    kind: 'business',
    role: request.role,
    accountKey: first.accountKey,
    accountSigningKey: first.accountSigningKey,
    leafKey: first.leafKey,
    certificate: first.certificate,
    deviceToken: answer.deviceToken,
    business,
    businessCertificates: await believed(context, {
      operator,
      identity: { accountId: business.accountId, accountKey: first.accountKey },
      certificates: answer.certificates,
    }),
    keysHostedBy: prepared.keysHostedBy,
  };
  const list = await verifyDeviceList(first.deviceList, { expectedKey: first.accountKey });
  if (list.outcome !== 'valid') throw new Error('Assertion failed: own list is valid');
  await context.store.commit([
    identityWrite(identity),
    ownDeviceListWrite(first.deviceList, list.statement),
    unfinishedWrite('enrolment', undefined),
  ]);
  const keyPackages = await firstKeyPackages(context, identity);
  return { outcome: 'enrolled', identity, keyPackages };
}

type Refused = Exclude<AnswerOf<typeof openEnrolment>, { outcome: 'opened' }>;

/** The keys are stored before the relay hears of them; a second call with the same code takes them again. */
async function prepare(
  context: DeviceContext,
  request: {
    readonly code: string;
    readonly role: 'gateway' | 'app';
    readonly keysHostedBy: string;
  },
): Promise<EnrolmentRecord | Refused> {
  const bytes = await readUnfinished(context.store, 'enrolment');
  const known = bytes === undefined ? undefined : decodeRecord(EnrolmentRecord, bytes, 'enrolment');
  if (known?.code === request.code) return known;
  const opened = await context.connection.call(openEnrolment, { code: request.code });
  if (opened.outcome !== 'opened') return opened;
  const { business, deviceId } = opened;
  const first =
    known?.business.accountId === business.accountId && known.deviceId === deviceId
      ? known.first
      : await makeFirstDevice({
          accountId: business.accountId,
          deviceId,
          role: request.role,
          nowSeconds: nowInSeconds(context),
          ...(await keptKey(known, business.accountId)),
        });
  const { code, keysHostedBy } = request;
  const record: EnrolmentRecord = { v: 1, code, business, deviceId, keysHostedBy, first };
  await context.store.commit([unfinishedWrite('enrolment', encodeRecord(EnrolmentRecord, record))]);
  return record;
}

/** Another code for the same firm, after a lost answer: the firm keeps the key it has made. */
async function keptKey(known: EnrolmentRecord | undefined, accountId: AccountId) {
  if (known?.business.accountId !== accountId) return {};
  const { accountSigningKey, accountKey, deviceList } = known.first;
  const list = await verifyDeviceList(deviceList, { expectedKey: accountKey });
  if (list.outcome !== 'valid') throw new Error('Assertion failed: own list is valid');
  return { kept: { accountKey: accountSigningKey, listVersion: list.statement.version } };
}

/** A certificate that names another key would let people see a badge that is not ours: it is a fault of the operator. */
async function believed(
  context: DeviceContext,
  by: {
    readonly operator: PinnedOperator;
    readonly identity: Pick<Identity, 'accountId' | 'accountKey'>;
    readonly certificates: readonly string[];
  },
): Promise<string[]> {
  for (const certificate of by.certificates) {
    const checked = await checkBusinessCertificate(by.operator, certificate, {
      ...by.identity,
      nowSeconds: nowInSeconds(context),
    });
    if (checked.outcome !== 'valid') {
      throw new SiegelError('relay-refused', `business certificate: ${checked.reason}`);
    }
  }
  return [...by.certificates];
}

/** Numbers, WABAs and certificates as they are now; stored with the identity. */
export async function refreshBusiness(
  context: DeviceContext,
  identity: Identity,
): Promise<Identity | undefined> {
  const answer = await context.connection.call(getBusiness, {});
  if (answer.outcome === 'forbidden') return undefined;
  const operator = await operatorOf(context);
  if (operator === undefined) return undefined;
  const businessCertificates = await believed(context, {
    operator,
    identity,
    certificates: answer.certificates,
  });
  const refreshed = { ...identity, business: answer.business, businessCertificates };
  await context.store.commit([identityWrite(refreshed)]);
  return refreshed;
}
