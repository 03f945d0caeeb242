// Account life against the real relay: registration with code and PIN, linking, enrolment, key packages, look-up, templates,
// blobs and the mailbox socket.

import { randomBytes } from 'node:crypto';
import { inspectKeyPackage } from '@siegel/crypto';
import { fromBase64Url, toBase64Url } from '@siegel/protocol/content';
import { PhoneNumber } from '@siegel/protocol/ids';
import {
  decideTemplate,
  getAccount,
  lookUpNumber,
  openConversation,
  setPin,
  type TemplateObject,
} from '@siegel/protocol/relay';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fetchAttachment, readAttachment, storeAttachment } from '../src/attachments.ts';
import type { DeviceContext } from '../src/device-context.ts';
import { continueDeviceLink, openDeviceLink } from '../src/device-linking.ts';
import { fetchOwnList, judgeDeviceList, removeDevice } from '../src/device-list.ts';
import { enrolBusiness, lookAtEnrolment, refreshBusiness } from '../src/enrolment.ts';
import type { Identity } from '../src/identity.ts';
import { keepKeyPackages } from '../src/key-packages.ts';
import { continueJoining, joinDeviceLink } from '../src/link-joining.ts';
import { checkBusinessCertificate, checkNumberStatement, readOperator } from '../src/operator.ts';
import { finishRegistration, proveNumber, startRegistration } from '../src/registration.ts';
import type { MailboxEvent } from '../src/relay-connection.ts';
import { believeTemplate, submitOwnTemplate } from '../src/templates.ts';
import { type RealRelay, startRealRelay } from './real-relay.ts';
import { until } from './test-clock.ts';
import { aliceNumber, createTestDevice, register, type TestDevice } from './test-device.ts';

let relay: RealRelay;
let phone: TestDevice;
let alice: Identity;
let main: DeviceContext;
beforeAll(async () => {
  relay = await startRealRelay();
  phone = createTestDevice(relay);
  alice = await register(phone, { code: relay.code, newPin: '314159' });
  main = phone.as(alice);
}, 120_000);
afterAll(() => relay?.close());

const nowSeconds = () => Math.floor(relay.now / 1000);

async function link(typedBy: TestDevice): Promise<Identity> {
  const opened = await openDeviceLink(main, alice);
  if (opened.outcome !== 'opened') throw new Error(opened.outcome);
  expect(await joinDeviceLink(typedBy, opened.code)).toEqual({ outcome: 'joined' });
  expect((await continueDeviceLink(main, alice)).outcome).toBe('linked');
  const progress = await continueJoining(typedBy);
  if (progress.outcome !== 'linked') throw new Error(progress.outcome);
  return progress.identity;
}

test('a registered device is who the relay says it is, with a full supply of key packages', async () => {
  const account = await main.connection.call(getAccount, {});
  expect(account).toMatchObject({
    accountId: alice.accountId,
    deviceId: alice.deviceId,
    kind: 'person',
    keyPackagesLeft: 50,
  });
  const { deviceList } = account;
  expect((await judgeDeviceList(alice.accountId, deviceList, undefined)).outcome).toBe('first');
});

test('a wrong code is counted, and the right one still counts', async () => {
  const device = createTestDevice(relay);
  const number = PhoneNumber.parse('+4915199999999');
  await startRegistration(device, { number });
  const code = relay.code(number);
  const wrong = code === '000000' ? '000001' : '000000';
  expect(await proveNumber(device, wrong)).toEqual({ outcome: 'wrong-code', triesLeft: 4 });
  expect(await proveNumber(device, code)).toEqual({ outcome: 'verified', pinRequired: false });
  expect((await finishRegistration(device)).outcome).toBe('registered');
});

test('a number with a PIN is taken over with it only, and then keeps its account', async () => {
  const device = createTestDevice(relay);
  const number = PhoneNumber.parse('+4915188888888');
  await startRegistration(device, { number });
  await proveNumber(device, relay.code(number));
  const first = await finishRegistration(device, { newPin: '271828' });
  if (first.outcome !== 'registered') throw new Error(first.outcome);

  const browser = createTestDevice(relay);
  await startRegistration(browser, { number });
  expect(await proveNumber(browser, relay.code(number))).toMatchObject({ pinRequired: true });
  expect(await finishRegistration(browser)).toMatchObject({ outcome: 'pin-wrong' });
  const wrong = await finishRegistration(browser, { pin: '111111' });
  if (wrong.outcome !== 'pin-wrong') throw new Error(wrong.outcome);
  relay.now += wrong.retryAfterSeconds * 1000;
  const taken = await finishRegistration(browser, { pin: '271828' });
  if (taken.outcome !== 'registered') throw new Error(taken.outcome);
  expect(taken.identity.accountId).toBe(first.identity.accountId);
  expect(taken.identity.accountKey).not.toBe(first.identity.accountKey);
  await expect(device.as(first.identity).connection.call(getAccount, {})).rejects.toMatchObject({
    code: 'unauthenticated',
  });
});

test('a restored account key survives a take-over', async () => {
  const device = createTestDevice(relay);
  const number = PhoneNumber.parse('+4915177777777');
  await startRegistration(device, { number });
  await proveNumber(device, relay.code(number));
  const first = await finishRegistration(device, { newPin: '271828' });
  if (first.outcome !== 'registered') throw new Error(first.outcome);
  const browser = createTestDevice(relay);
  await startRegistration(browser, { number });
  await proveNumber(browser, relay.code(number));
  const taken = await finishRegistration(browser, {
    pin: '271828',
    restored: { accountKey: first.identity.accountSigningKey!, listVersion: 1 },
  });
  if (taken.outcome !== 'registered') throw new Error(taken.outcome);
  expect(taken.identity.accountKey).toBe(first.identity.accountKey);
  expect((await fetchOwnList(browser.as(taken.identity), taken.identity)).version).toBe(2);
});

test('a second device joins by the code, and is cut off once it is removed', async () => {
  const laptop = createTestDevice(relay);
  const linked = await link(laptop);
  expect(linked).toMatchObject({ accountId: alice.accountId, role: 'linked' });
  const own = laptop.as(linked);
  expect(await own.connection.call(getAccount, {})).toMatchObject({
    deviceId: linked.deviceId,
    keyPackagesLeft: 50,
  });
  expect(await own.connection.call(setPin, { pin: '314159' })).toMatchObject({});
  expect((await removeDevice(main, alice, linked.deviceId)).outcome).toBe('published');
  await expect(own.connection.call(getAccount, {})).rejects.toMatchObject({
    code: 'unauthenticated',
  });
});

test('a socket says hello, is told of the own devices, and ends for good when revoked', async () => {
  const tablet = createTestDevice(relay);
  const linked = await link(tablet);
  const { connection } = tablet.as(linked);
  const events: MailboxEvent[] = [];
  const types = () => events.map(({ type }) => type);
  connection.openMailbox({
    onItems: async () => undefined,
    onEvent: (event) => events.push(event),
  });
  await until(() => types().includes('online'), 'online');
  await removeDevice(main, alice, linked.deviceId);
  await until(() => types().includes('ended'), 'ended');
  expect(events.at(-1)).toEqual({ type: 'ended', reason: 'revoked' });
  await connection.close();
});

test('key packages are handed out once and refilled', async () => {
  const bob = createTestDevice(relay);
  const number = PhoneNumber.parse('+4915166666666');
  await startRegistration(bob, { number });
  await proveNumber(bob, relay.code(number));
  const registered = await finishRegistration(bob);
  if (registered.outcome !== 'registered') throw new Error(registered.outcome);
  const { connection } = bob.as(registered.identity);
  const found = await connection.call(lookUpNumber, { number: aliceNumber });
  if (found.outcome !== 'person') throw new Error(found.outcome);
  const operator = (await readOperator(bob.store))!;
  const checked = await checkNumberStatement(operator, found.numberStatement, {
    accountId: alice.accountId,
    accountKey: alice.accountKey,
    number: aliceNumber,
    nowSeconds: nowSeconds(),
  });
  expect(checked.outcome).toBe('valid');

  const opened = await connection.call(openConversation, {
    with: { kind: 'direct', accountId: found.accountId },
  });
  if (opened.outcome !== 'to-found') throw new Error(opened.outcome);
  const claimed = opened.members
    .flatMap((member) => member.keyPackages)
    .map(({ keyPackage }) => keyPackage);
  const looked = await Promise.all(
    claimed.map((text) => inspectKeyPackage(fromBase64Url(text), { now: relay.now })),
  );
  const leaves = looked.map((each) => each.outcome === 'valid' && each.certificate.leaf);
  expect(leaves).toContain(toBase64Url(alice.leafKey.publicKey));
  const { keyPackagesLeft } = await main.connection.call(getAccount, {});
  expect(keyPackagesLeft).toBe(49);
  expect(await keepKeyPackages(main, alice)).toMatchObject({ outcome: 'kept', uploaded: 0 });
});

test('a business enrols once, and its certificate is believed', async () => {
  const code = await relay.enrolmentCode();
  const gateway = createTestDevice(relay);
  expect(await lookAtEnrolment(gateway, code)).toMatchObject({ outcome: 'opened' });
  const enrolled = await enrolBusiness(gateway, { code, role: 'gateway', keysHostedBy: 'self' });
  if (enrolled.outcome !== 'enrolled') throw new Error(enrolled.outcome);
  const firm = enrolled.identity;
  expect(
    await enrolBusiness(createTestDevice(relay), { code, role: 'gateway', keysHostedBy: '' }),
  ).toEqual({ outcome: 'code-over' });
  const own = gateway.as(firm);
  const refreshed = await refreshBusiness(own, firm);
  expect(refreshed?.businessCertificates).toEqual(firm.businessCertificates);

  const [number] = firm.business!.numbers;
  const found = await main.connection.call(lookUpNumber, { number: number!.number });
  if (found.outcome !== 'business') throw new Error(found.outcome);
  const judged = await judgeDeviceList(found.accountId, found.deviceList, undefined);
  if (judged.outcome !== 'first') throw new Error(judged.outcome);
  const operator = (await readOperator(phone.store))!;
  const checked = await checkBusinessCertificate(operator, found.certificate ?? '', {
    accountId: found.accountId,
    accountKey: judged.list.key,
    phoneNumberId: found.phoneNumberId,
    nowSeconds: nowSeconds(),
  });
  expect(checked).toMatchObject({ outcome: 'valid', statement: { keysHostedBy: 'self' } });

  await templateIsBelieved({ own, firm, operatorKeys: operator.keys });
}, 60_000);

async function templateIsBelieved(world: {
  own: DeviceContext;
  firm: Identity;
  operatorKeys: readonly string[];
}): Promise<void> {
  const { own, firm, operatorKeys } = world;
  const template: TemplateObject = {
    v: 1,
    business: firm.accountId,
    wabaId: firm.business!.numbers[0]!.wabaId,
    name: 'order_sent',
    language: 'de',
    category: 'utility',
    parameterFormat: 'positional',
    components: {
      body: {
        text: 'Ihre Bestellung {{1}} ist unterwegs.',
        parameters: [{ name: '1', type: 'text', charsMax: 20, example: 'A-17' }],
      },
      buttons: [],
    },
  };
  const submitted = await submitOwnTemplate(own, firm, template);
  if (submitted.outcome !== 'submitted') throw new Error(JSON.stringify(submitted));
  const { templateId, hash } = submitted.template;
  const expectation = {
    templateId,
    hash,
    category: 'utility' as const,
    business: { accountId: firm.accountId, accountKey: firm.accountKey },
    operatorKeys,
  };
  expect(await believeTemplate(main, expectation)).toEqual({
    outcome: 'refused',
    reason: 'unknown',
  });
  await relay.operator.call(decideTemplate, { templateId, decision: 'approve' });
  expect(await believeTemplate(main, expectation)).toEqual({ outcome: 'template', template });
}

test('an attachment goes through the relay’s blobs, whole and in parts', async () => {
  const bytes = randomBytes(200_000);
  const file = { media: 'document', contentType: 'application/pdf' } as const;
  const stored = await storeAttachment(main, { ...file, bytes });
  if (stored.outcome !== 'stored') throw new Error(stored.outcome);
  const fetched = await fetchAttachment(main, stored.attachment);
  expect(fetched.outcome === 'attachment' && Buffer.compare(fetched.bytes, bytes)).toBe(0);
  const parts: Uint8Array[] = [];
  const range = { start: 100_000, end: 150_000 };
  for await (const part of readAttachment(main, stored.attachment, range)) parts.push(part);
  expect(Buffer.compare(Buffer.concat(parts), bytes.subarray(100_000, 150_000))).toBe(0);
  const blobSecret = toBase64Url(randomBytes(16));
  expect(await fetchAttachment(main, { ...stored.attachment, blobSecret })).toEqual({
    outcome: 'gone',
  });
});
