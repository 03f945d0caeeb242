// Enrolment of a business, and what a certificate must say to be believed.

import { createSigningKey, signBusinessCertificate } from '@siegel/crypto';
import { toBase64Url } from '@siegel/protocol/content';
import { AccountId, NumericId } from '@siegel/protocol/ids';
import type { BusinessCertificate } from '@siegel/protocol/relay';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { continueDeviceLink, openDeviceLink } from '../src/device-linking.ts';
import { readOwnDeviceList } from '../src/device-list.ts';
import { enrolBusiness, lookAtEnrolment } from '../src/enrolment.ts';
import { readIdentity } from '../src/identity.ts';
import { continueJoining, joinDeviceLink } from '../src/link-joining.ts';
import { checkBusinessCertificate, type PinnedOperator } from '../src/operator.ts';
import {
  certificateOf,
  enrolmentCode,
  issuer,
  type LittleRelay,
  startLittleRelay,
} from './little-relay.ts';
import { createTestDevice, type TestDevice } from './test-device.ts';

const start = 1_800_000_000_000;
const request = { code: enrolmentCode, role: 'gateway', keysHostedBy: 'Bäckerei Morgen' } as const;

let relay: LittleRelay;
let gateway: TestDevice;
beforeEach(async () => {
  relay = await startLittleRelay(start);
  gateway = createTestDevice(relay);
});
afterEach(() => relay.close());

async function enrol(device = gateway) {
  const enrolled = await enrolBusiness(device, request);
  if (enrolled.outcome !== 'enrolled') throw new Error(enrolled.outcome);
  return enrolled.identity;
}

test('looking at a code tells the business and uses nothing up', async () => {
  expect(await lookAtEnrolment(gateway, enrolmentCode.toLowerCase())).toMatchObject({
    outcome: 'opened',
    business: { legalName: 'Bäckerei Morgen GmbH' },
  });
  expect((await enrol()).kind).toBe('business');
});

test('the business key is made here and only its public half leaves', async () => {
  const identity = await enrol();
  expect(identity).toMatchObject({
    kind: 'business',
    role: 'gateway',
    accountId: relay.business.accountId,
    keysHostedBy: 'Bäckerei Morgen',
    business: relay.business,
  });
  expect(identity.businessCertificates?.length).toBe(1);
  expect((await readOwnDeviceList(gateway.store))?.list.devices).toMatchObject([
    { id: 1, role: 'gateway' },
  ]);
  const seeds = [identity.accountSigningKey!.seed, identity.leafKey.seed].map(toBase64Url);
  const traffic = relay.server.seen.map(({ body }) => String(body)).join('\n');
  expect(traffic).toContain(identity.accountKey);
  for (const seed of seeds) expect(traffic).not.toContain(seed);
  expect(relay.keyPackages.get(`${identity.accountId}/1`)?.oneTime.size).toBe(200);
});

test('a lost answer is asked for again with the same key', async () => {
  relay.loseAnswers('completeEnrolment', 1);
  await expect(enrolBusiness(gateway, request)).rejects.toMatchObject({
    code: 'relay-unreachable',
  });
  const published = relay.accounts.get(relay.business.accountId)!.key;
  const identity = await enrol(gateway.crash());
  expect(identity.accountKey).toBe(published);
});

test.each([
  ['what is no code', 'hello', 'code-malformed'],
  ['a code nobody issued', enrolmentCode.replace('A', 'B'), 'code-over'],
])('%s enrols nothing', async (_name, code, outcome) => {
  expect(await enrolBusiness(gateway, { ...request, code })).toEqual({ outcome });
  expect(await readIdentity(gateway.store)).toBeUndefined();
});

test('a code that somebody else has used is over', async () => {
  await enrol();
  expect(await enrolBusiness(createTestDevice(relay), request)).toEqual({ outcome: 'code-over' });
});

test('a second gateway is signed by the first and never gets the business key', async () => {
  const identity = await enrol();
  const main = gateway.as(identity);
  const second = createTestDevice(relay);
  const opened = await openDeviceLink(main, identity);
  await joinDeviceLink(second, opened.outcome === 'opened' ? opened.code : '');
  await continueDeviceLink(main, identity);
  const progress = await continueJoining(second);
  expect(progress).toMatchObject({
    outcome: 'linked',
    identity: { kind: 'business', role: 'gateway', deviceId: 2, accountKey: identity.accountKey },
  });
  expect(progress.outcome === 'linked' && progress.identity.accountSigningKey).toBeUndefined();
});

test('an operator that certifies another key for us is refused', async () => {
  const foreign = toBase64Url((await createSigningKey()).publicKey);
  relay.change('completeEnrolment', (honest) => async (fields, caller) => {
    const lie = certificateOf(relay, {
      cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', x: foreign } },
    });
    return {
      ...(await honest(fields, caller)),
      certificates: [await signBusinessCertificate(lie, relay.operatorKey)],
    };
  });
  await expect(enrolBusiness(gateway, request)).rejects.toThrow(/wrong-account-key/);
  expect(await readIdentity(gateway.store)).toBeUndefined();
});

test('a certificate is believed only for the pinned key, its number, in time, from the pinned operator', async () => {
  const x = toBase64Url((await createSigningKey()).publicKey);
  const operator: PinnedOperator = {
    v: 1,
    issuer,
    keys: [toBase64Url(relay.operatorKey.publicKey)],
    pinnedAt: 0,
  };
  const { accountId } = relay.business;
  const phoneNumberId = relay.business.numbers[0]!.phoneNumberId;
  const nowSeconds = start / 1000;
  const good = certificateOf(relay, { cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', x } } });
  const reasonOf = async (
    change: Partial<BusinessCertificate>,
    by = relay.operatorKey,
    expected: Partial<Parameters<typeof checkBusinessCertificate>[2]> = {},
  ) => {
    const jws = await signBusinessCertificate({ ...good, ...change }, by);
    const about = { accountId, accountKey: x, phoneNumberId, nowSeconds, ...expected };
    const checked = await checkBusinessCertificate(operator, jws, about);
    return checked.outcome === 'valid' ? 'valid' : checked.reason;
  };
  expect(await reasonOf({})).toBe('valid');
  expect(await reasonOf({}, await createSigningKey())).toBe('wrong-key');
  expect(await reasonOf({ exp: nowSeconds })).toBe('expired');
  expect(await reasonOf({ iss: 'Another' })).toBe('wrong-issuer');
  const other = AccountId.parse('00000000-2222-4333-8444-555555555555');
  expect(await reasonOf({ sub: other })).toBe('wrong-account');
  expect(await reasonOf({ phoneNumberId: NumericId.parse('9') })).toBe('wrong-number');
  const accountKey = toBase64Url((await createSigningKey()).publicKey);
  expect(await reasonOf({}, relay.operatorKey, { accountKey })).toBe('wrong-account-key');
});
