// Enrolling a business, its certificates, and looking numbers up (E1–E3, N1–N4).

import { createAccountKey, signDeviceList, verifyBusinessCertificate } from '@siegel/crypto';
import { NumericId } from '@siegel/protocol/ids';
import {
  completeEnrolment,
  getAccount,
  getBusiness,
  getBusinessCertificate,
  getOperator,
  issueEnrolmentCode,
  lookUpNumber,
  openEnrolment,
  registerBusiness,
  requestCode,
} from '@siegel/protocol/relay';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  enrolBusiness,
  enrolmentOf,
  freshNumber,
  listOf,
  newDevice,
  registerPerson,
  text,
} from './person.ts';
import { type RelayTest, startTestRelay } from './relay-world.ts';

const day = 86_400_000;

let town: RelayTest;
beforeAll(async () => {
  town = await startTestRelay();
});
afterAll(() => town.close());

async function register(number = freshNumber()) {
  const answer = await town.call(registerBusiness, enrolmentOf([number]), town.operatorToken);
  if (answer.outcome !== 'registered') throw new Error(answer.outcome);
  return answer;
}

async function redeem(code: string, accountId: Parameters<typeof listOf>[0]['accountId'], id = 1) {
  const key = await createAccountKey();
  const device = await newDevice(id);
  const answer = await town.call(completeEnrolment, {
    ...{ code, accountKey: text(key.publicKey), keysHostedBy: 'the firm itself' },
    deviceList: await signDeviceList(listOf({ accountId, key }, [device]), key),
  });
  return { answer, key };
}

async function operatorTrust() {
  const { keys } = await town.call(getOperator, {});
  const issuerKeys = keys.map(({ publicKey }) => publicKey);
  return { issuerKeys, now: Math.floor(town.clock.now / 1000) };
}

describe('enrolment', () => {
  it('E1 a code is used once', async () => {
    const { enrolmentCode: code, business } = await register();
    expect((await town.call(openEnrolment, { code })).outcome).toBe('opened');
    expect((await town.call(openEnrolment, { code })).outcome).toBe('opened');
    expect((await redeem(code, business.accountId)).answer.outcome).toBe('enrolled');
    expect((await redeem(code, business.accountId)).answer.outcome).toBe('code-over');
  });

  it('E1 of two who redeem a code at once one gets it', async () => {
    const { enrolmentCode: code, business } = await register();
    const both = await Promise.all([
      redeem(code, business.accountId),
      redeem(code, business.accountId),
    ]);
    expect(both.map(({ answer }) => answer.outcome).sort()).toEqual(['code-over', 'enrolled']);
  });

  it('E1 a code ends after seven days and is stored as a hash', async () => {
    const { enrolmentCode: code } = await register();
    const { rows } = await town.test.database.query('SELECT * FROM enrolments');
    expect(JSON.stringify(rows)).not.toContain(code);
    town.clock.now += 7 * day;
    expect((await town.call(openEnrolment, { code })).outcome).toBe('code-over');
  });

  it('E2 used, ended and unknown codes are answered alike', async () => {
    const used = await register();
    await redeem(used.enrolmentCode, used.business.accountId);
    const ended = await register();
    town.clock.now += 7 * day;
    const unknown = 'AAAA-BBBB-CCCC-DDDD-EEEE-2222';
    for (const code of [used.enrolmentCode, ended.enrolmentCode, unknown]) {
      expect(await town.call(openEnrolment, { code })).toEqual({ outcome: 'code-over' });
      const { answer } = await redeem(code, used.business.accountId);
      expect(answer).toEqual({ outcome: 'code-over' });
    }
  });

  it('E1 a fresh code ends the older one, and there is none once a device has called', async () => {
    const { enrolmentCode: older, business } = await register();
    const { accountId } = business;
    const issue = () => town.call(issueEnrolmentCode, { accountId }, town.operatorToken);
    const fresh = await issue();
    if (fresh.outcome !== 'issued') throw new Error(fresh.outcome);
    expect((await town.call(openEnrolment, { code: older })).outcome).toBe('code-over');
    // The answer of the first redemption is lost: nobody has the token, so the operator may help.
    await redeem(fresh.enrolmentCode, accountId);
    const again = await issue();
    if (again.outcome !== 'issued') throw new Error(again.outcome);
    const { answer } = await redeem(again.enrolmentCode, accountId, 2);
    if (answer.outcome !== 'enrolled') throw new Error(answer.outcome);
    await town.call(getAccount, {}, answer.deviceToken);
    expect((await issue()).outcome).toBe('already-enrolled');
    const person = await registerPerson(town);
    const wrong = { accountId: person.accountId };
    const missing = await town.call(issueEnrolmentCode, wrong, town.operatorToken);
    expect(missing.outcome).toBe('not-found');
  });

  it('E1 a list of another key leaves the code as it was', async () => {
    const { enrolmentCode: code, business } = await register();
    const [key, other] = [await createAccountKey(), await createAccountKey()];
    const { accountId } = business;
    const list = listOf({ accountId, key: other }, [await newDevice(1)]);
    const answer = await town.call(completeEnrolment, {
      ...{ code, accountKey: text(key.publicKey), keysHostedBy: 'x' },
      deviceList: await signDeviceList(list, other),
    });
    expect(answer.outcome).toBe('list-refused');
    expect((await redeem(code, accountId)).answer.outcome).toBe('enrolled');
  });

  it('E3 the key is made by who redeems; the relay has its public half and certifies it', async () => {
    const bakery = await enrolBusiness(town);
    const verified = await verifyBusinessCertificate(
      bakery.certificates[0] ?? '',
      await operatorTrust(),
    );
    expect(verified).toMatchObject({
      outcome: 'valid',
      statement: {
        ...{ sub: bakery.accountId, number: bakery.number, phoneNumberId: bakery.phoneNumberId },
        ...{ level: 'badge', country: 'DE', keysHostedBy: 'the firm itself' },
        cnf: { jwk: { x: text(bakery.key.publicKey) } },
      },
    });
    const own = await town.call(getBusiness, {}, bakery.token);
    expect(own).toMatchObject({ outcome: 'business', certificates: bakery.certificates });
    const alice = await registerPerson(town);
    expect((await town.call(getBusiness, {}, alice.token)).outcome).toBe('forbidden');
  });

  it('E1 only the operator enters a business, and a number belongs to one account', async () => {
    const alice = await registerPerson(town);
    const request = enrolmentOf([freshNumber(), alice.number]);
    const taken = await town.call(registerBusiness, request, town.operatorToken);
    expect(taken).toEqual({ outcome: 'number-taken', number: alice.number });
    // Nothing of it was kept: its other number is still free.
    const first = request.numbers[0]!.number;
    await register(first);
    await expect(town.call(registerBusiness, request, alice.token)).rejects.toThrow('401');
    await expect(town.call(registerBusiness, request)).rejects.toThrow('401');
  });

  it('A1 a business number is asked for a code like any other, and no SMS is sent', async () => {
    const bakery = await enrolBusiness(town);
    expect((await town.call(requestCode, { number: bakery.number })).outcome).toBe('code-sent');
    const inbox = await town.send(`/sms-inbox?number=${encodeURIComponent(bakery.number)}`);
    expect(await inbox.json()).toEqual([]);
  });
});

describe('look-up', () => {
  it('N1 a number is found exactly, with what binds it to its key', async () => {
    const [alice, bob] = [await registerPerson(town), await registerPerson(town)];
    const found = await town.call(lookUpNumber, { number: bob.number }, alice.token);
    expect(found).toMatchObject({
      ...{ outcome: 'person', accountId: bob.accountId, deviceList: bob.signedList },
    });
    const unknown = await town.call(lookUpNumber, { number: freshNumber() }, alice.token);
    expect(unknown).toEqual({ outcome: 'not-found' });
  });

  it('N1 a person looks up sixty numbers an hour', async () => {
    const alice = await registerPerson(town);
    const outcomes: string[] = [];
    for (let round = 0; round < 61; round += 1) {
      const answer = await town.call(lookUpNumber, { number: freshNumber() }, alice.token);
      outcomes.push(answer.outcome);
    }
    expect(outcomes.filter((outcome) => outcome === 'not-found')).toHaveLength(60);
    expect(outcomes.at(-1)).toBe('rate-limited');
    town.clock.now += 3_600_000;
    const later = await town.call(lookUpNumber, { number: freshNumber() }, alice.token);
    expect(later.outcome).toBe('not-found');
  });

  it('N2 a business learns nothing about persons, and finds businesses', async () => {
    const [bakery, bank] = [await enrolBusiness(town), await enrolBusiness(town)];
    const alice = await registerPerson(town);
    const ask = (number: typeof alice.number) => town.call(lookUpNumber, { number }, bakery.token);
    const known = await ask(alice.number);
    expect(known).toEqual({ outcome: 'forbidden' });
    expect(await ask(freshNumber())).toEqual(known);
    expect(await ask(bank.number)).toMatchObject({
      ...{ outcome: 'business', accountId: bank.accountId },
      phoneNumberId: bank.phoneNumberId,
    });
  });

  it('N3 a certificate is read by number id, is the operator’s, and is renewed before it ends', async () => {
    const bakery = await enrolBusiness(town);
    const alice = await registerPerson(town);
    const ask = (phoneNumberId: typeof bakery.phoneNumberId) =>
      town.call(getBusinessCertificate, { phoneNumberId }, alice.token);
    const [certificate] = bakery.certificates;
    expect(await ask(bakery.phoneNumberId)).toEqual({ outcome: 'certificate', certificate });
    expect(await ask(NumericId.parse('123456789012345'))).toEqual({ outcome: 'not-found' });
    town.clock.now += 340 * day;
    const renewed = await town.call(getBusiness, {}, bakery.token);
    if (renewed.outcome !== 'business') throw new Error(renewed.outcome);
    expect(renewed.certificates[0]).not.toBe(certificate);
    town.clock.now += 30 * day;
    const verified = await verifyBusinessCertificate(
      renewed.certificates[0] ?? '',
      await operatorTrust(),
    );
    expect(verified.outcome).toBe('valid');
  });

  it('N4 the operator’s keys are read by anyone, and stay the same after a restart', async () => {
    const before = await town.call(getOperator, {});
    expect(before).toMatchObject({ outcome: 'operator', issuer: 'relay.test' });
    expect(before.now).toBe(town.clock.now);
    const other = await town.another();
    const response = await fetch(`${other.url}/v1/operator`);
    const after = (await response.json()) as { keys: unknown };
    expect(after.keys).toEqual(before.keys);
    await other.close();
  });
});
