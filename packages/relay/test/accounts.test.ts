// Registration as a phone sees it: codes, tries, PINs, and what a known number does and does not give away (A1–A6).

import { createAccountKey, signDeviceList, verifyNumberStatement } from '@siegel/crypto';
import {
  createAccount,
  getAccount,
  getOperator,
  requestCode,
  setPin,
  verifyCode,
} from '@siegel/protocol/relay';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  codeFor,
  freshNumber,
  listOf,
  newDevice,
  proveNumber,
  randomText,
  registerPerson,
  text,
} from './person.ts';
import { failureOf, openSocket, type RelayTest, startTestRelay } from './relay-world.ts';

const minute = 60_000;
const day = 86_400_000;

describe('numbers and accounts', () => {
  let town: RelayTest;
  beforeAll(async () => {
    town = await startTestRelay();
  });
  afterAll(() => town.close());

  const wrong = (code: string) => String((Number(code) + 1) % 1_000_000).padStart(6, '0');

  async function start(number = freshNumber()) {
    const sent = await town.call(requestCode, { number });
    if (sent.outcome !== 'code-sent') throw new Error(sent.outcome);
    return { ...sent, number, code: await codeFor(town, number) };
  }

  it('A1 known and unknown numbers are answered alike', async () => {
    const alice = await registerPerson(town);
    const known = await town.call(requestCode, { number: alice.number });
    const unknown = await town.call(requestCode, { number: freshNumber() });
    const shapeOf = (answer: object) => Object.keys(answer).sort();
    expect(known.outcome).toBe('code-sent');
    expect(unknown.outcome).toBe('code-sent');
    expect(shapeOf(known)).toEqual(shapeOf(unknown));
    expect(known).toMatchObject({ expiresInSeconds: 600 });
    expect(unknown).toMatchObject({ expiresInSeconds: 600 });
  });

  it('A1 what cannot be a number is refused before anything is sent', async () => {
    const response = await town.send('/v1/registrations', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ number: '+9991234567' }),
    });
    expect(response.status).toBe(400);
  });

  it('A2 a code has six digits and lives ten minutes', async () => {
    const begun = await start();
    expect(begun.code).toMatch(/^\d{6}$/);
    town.clock.now += 10 * minute;
    const late = await town.call(verifyCode, given(begun));
    expect(late.outcome).toBe('registration-over');
  });

  const given = ({ registrationId, code }: { registrationId: string; code: string }) => ({
    registrationId,
    code,
  });

  it('A2 five wrong tries end the registration, the right code then comes too late', async () => {
    const begun = await start();
    for (const triesLeft of [4, 3, 2, 1, 0]) {
      const { registrationId } = begun;
      const answer = await town.call(verifyCode, { registrationId, code: wrong(begun.code) });
      expect(answer).toEqual({ outcome: 'wrong-code', triesLeft });
    }
    expect((await town.call(verifyCode, given(begun))).outcome).toBe('registration-over');
  });

  it('A2 a code is used once', async () => {
    const begun = await start();
    expect((await town.call(verifyCode, given(begun))).outcome).toBe('verified');
    expect((await town.call(verifyCode, given(begun))).outcome).toBe('registration-over');
  });

  it('A2 parallel guesses do not share a try', async () => {
    const { registrationId, code } = await start();
    const guesses = Array.from({ length: 20 }, () =>
      town.call(verifyCode, { registrationId, code: wrong(code) }),
    );
    const outcomes = (await Promise.all(guesses)).map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === 'wrong-code')).toHaveLength(5);
  });

  it('A4 codes and tokens are not in the database, only their hashes', async () => {
    const begun = await start();
    const verified = await town.call(verifyCode, given(begun));
    if (verified.outcome !== 'verified') throw new Error(verified.outcome);
    const alice = await registerPerson(town, { newPin: '482913' });
    const dump = await dumpOf(['registrations', 'devices', 'accounts']);
    const secrets = [verified.registrationToken, alice.token];
    for (const secret of secrets) {
      expect(dump).not.toContain(secret);
      expect(dump).not.toContain(Buffer.from(secret, 'base64url').toString('hex'));
    }
    expect(dump).not.toContain(`"${begun.code}"`);
    expect(dump).not.toContain('482913');
    expect(dump).toContain('$argon2id$');
  });

  async function dumpOf(tables: readonly string[]): Promise<string> {
    const parts: string[] = [];
    for (const table of tables) {
      const { rows } = await town.test.database.query(`SELECT * FROM ${table}`);
      parts.push(
        JSON.stringify(rows, (_name, value: unknown) => {
          const { type, data } = (value ?? {}) as { type?: string; data?: number[] };
          return type === 'Buffer' ? Buffer.from(data ?? []).toString('hex') : value;
        }),
      );
    }
    return parts.join('\n');
  }

  it('A6 a new number becomes an account with a token and the operator’s statement', async () => {
    const alice = await registerPerson(town);
    const answer = await town.call(getAccount, {}, alice.token);
    expect(answer).toMatchObject({
      ...{ outcome: 'account', accountId: alice.accountId, deviceId: 1, kind: 'person' },
      ...{ deviceList: alice.signedList, keyPackagesLeft: 0 },
    });
    const operator = await town.call(getOperator, {});
    const verified = await verifyNumberStatement(alice.numberStatement, {
      issuerKeys: operator.keys.map(({ publicKey }) => publicKey),
      now: Math.floor(town.clock.now / 1000),
    });
    expect(verified).toMatchObject({
      outcome: 'valid',
      statement: { sub: alice.accountId, key: text(alice.key.publicKey), number: alice.number },
    });
  });

  it('A4 a registration token is used once and ends', async () => {
    const number = freshNumber();
    const first = await proveNumber(town, number);
    town.clock.now += 31 * minute;
    const key = await createAccountKey();
    const device = await newDevice(first.deviceId);
    const request = {
      registrationToken: first.registrationToken,
      accountKey: text(key.publicKey),
      deviceList: await signDeviceList(listOf({ accountId: first.accountId, key }, [device]), key),
    };
    expect((await town.call(createAccount, request)).outcome).toBe('registration-over');
    const again = await proveNumber(town, number);
    const good = {
      ...request,
      registrationToken: again.registrationToken,
      deviceList: await signDeviceList(listOf({ accountId: again.accountId, key }, [device]), key),
    };
    expect((await town.call(createAccount, good)).outcome).toBe('created');
    expect((await town.call(createAccount, good)).outcome).toBe('registration-over');
    const unknown = { ...good, registrationToken: randomText(32) };
    expect((await town.call(createAccount, unknown)).outcome).toBe('registration-over');
  });

  it('D1 a first list must be signed by the key, name the account and its one device', async () => {
    const verified = await proveNumber(town, freshNumber());
    const { accountId, registrationToken } = verified;
    const [key, other] = [await createAccountKey(), await createAccountKey()];
    const device = await newDevice(1);
    const stranger = (await registerPerson(town)).accountId;
    const lists = [
      await signDeviceList(listOf({ accountId, key: other }, [device]), other),
      await signDeviceList(listOf({ accountId: stranger, key }, [device]), key),
      await signDeviceList(listOf({ accountId, key }, []), key),
      await signDeviceList(listOf({ accountId, key }, [device, await newDevice(2)]), key),
      await signDeviceList(listOf({ accountId, key }, [device], { version: 2 }), key),
    ];
    const accountKey = text(key.publicKey);
    for (const deviceList of lists) {
      const answer = await town.call(createAccount, { registrationToken, accountKey, deviceList });
      expect(answer.outcome).toBe('list-refused');
    }
    const good = await signDeviceList(listOf({ accountId, key }, [device]), key);
    const answer = await town.call(createAccount, {
      ...{ registrationToken, accountKey, deviceList: good },
    });
    expect(answer.outcome).toBe('created');
  });

  it('A6 with its PIN a number keeps its account id, and every device of the old key ends', async () => {
    const alice = await registerPerson(town, { newPin: '135790' });
    const socket = await openSocket(town.relay.url);
    socket.send({ type: 'hello', token: alice.token });
    await socket.next('ready');
    const again = await registerPerson(town, { number: alice.number, pin: '135790' });
    expect(again.accountId).toBe(alice.accountId);
    expect(again.device.id).toBe(2);
    expect((await socket.next('bye'))['reason']).toBe('revoked');
    const old = await town.send('/v1/account', {
      headers: { authorization: `Bearer ${alice.token}` },
    });
    expect(await failureOf(old)).toEqual({ status: 401, code: 'unauthenticated' });
    const account = await town.call(getAccount, {}, again.token);
    expect(account.deviceList).toBe(again.signedList);
  });

  it('A6 with its PIN and the key from its backup the account goes on with the next version', async () => {
    const alice = await registerPerson(town, { newPin: '135790' });
    const again = await registerPerson(town, {
      ...{ number: alice.number, pin: '135790', key: alice.key, version: 2 },
    });
    expect(again.accountId).toBe(alice.accountId);
    await expect(town.call(getAccount, {}, alice.token)).rejects.toThrow('401');
  });

  it('A5 a wrong PIN waits longer each time, and while it waits the right one is not looked at', async () => {
    const alice = await registerPerson(town, { newPin: '111222' });
    const verified = await proveNumber(town, alice.number);
    expect(verified).toMatchObject({ pinRequired: true, accountId: alice.accountId, deviceId: 2 });
    const key = await createAccountKey();
    const { accountId, registrationToken } = verified;
    const device = await newDevice(2);
    const request = {
      ...{ registrationToken, accountKey: text(key.publicKey) },
      deviceList: await signDeviceList(listOf({ accountId, key }, [device]), key),
    };
    const waits: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      const answer = await town.call(createAccount, { ...request, pin: '999999' });
      if (answer.outcome !== 'pin-wrong') throw new Error(answer.outcome);
      waits.push(answer.retryAfterSeconds);
      const early = await town.call(createAccount, { ...request, pin: '111222' });
      expect(early).toEqual(answer);
      town.clock.now += answer.retryAfterSeconds * 1000;
    }
    expect(waits).toEqual([5, 10, 30, 60]);
    expect((await town.call(createAccount, { ...request, pin: '111222' })).outcome).toBe('created');
  });

  it('A5 without its PIN a number is not taken over for seven days, then it becomes a new account', async () => {
    const alice = await registerPerson(town, { newPin: '246802' });
    await town.call(getAccount, {}, alice.token);
    const attempt = async () => {
      const verified = await proveNumber(town, alice.number);
      const key = await createAccountKey();
      const { accountId, registrationToken } = verified;
      const device = await newDevice(verified.deviceId);
      const answer = await town.call(createAccount, {
        ...{ registrationToken, accountKey: text(key.publicKey) },
        deviceList: await signDeviceList(listOf({ accountId, key }, [device]), key),
      });
      return { verified, answer };
    };
    const early = await attempt();
    expect(early.verified.pinRequired).toBe(true);
    expect(early.answer.outcome).toBe('pin-wrong');
    town.clock.now += 6 * day;
    // The owner is still about: seven days count from then.
    await town.call(getAccount, {}, alice.token);
    town.clock.now += 6 * day;
    expect((await attempt()).answer.outcome).toBe('pin-wrong');
    town.clock.now += 2 * day;
    expect((await attempt()).answer.outcome).toBe('registration-over');
    const fresh = await attempt();
    expect(fresh.verified.pinRequired).toBe(false);
    expect(fresh.verified.accountId).not.toBe(alice.accountId);
    expect(fresh.answer.outcome).toBe('created');
    const before = await town.call(getAccount, {}, alice.token);
    expect(before.numberStatement).toBeUndefined();
  });

  it('A5 a number without a PIN becomes a new account when it is proven again', async () => {
    const alice = await registerPerson(town);
    const next = await registerPerson(town, { number: alice.number });
    expect(next.accountId).not.toBe(alice.accountId);
  });

  it('A5 a PIN set after the code was right protects the number all the same', async () => {
    const alice = await registerPerson(town);
    const verified = await proveNumber(town, alice.number);
    expect(verified.pinRequired).toBe(false);
    expect((await town.call(setPin, { pin: '777888' }, alice.token)).outcome).toBe('set');
    const key = await createAccountKey();
    const { accountId, registrationToken } = verified;
    const answer = await town.call(createAccount, {
      ...{ registrationToken, accountKey: text(key.publicKey) },
      deviceList: await signDeviceList(listOf({ accountId, key }, [await newDevice(1)]), key),
    });
    expect(answer.outcome).toBe('registration-over');
  });

  it('A3 the SMS speak German or English and hold no link', async () => {
    const number = freshNumber();
    await town.call(requestCode, { number, language: 'en' });
    await town.call(requestCode, { number, language: 'de' });
    const texts = (await (
      await town.send(`/sms-inbox?number=${encodeURIComponent(number)}`)
    ).json()) as { to: string; text: string; at: number }[];
    expect(texts).toHaveLength(2);
    expect(texts[0]).toMatchObject({ to: number, at: town.clock.now });
    expect(texts[0]?.text).toContain('Ihr Code ist');
    expect(texts[1]?.text).toContain('your code is');
    expect(JSON.stringify(texts)).not.toMatch(/https?:|www\./);
  });
});

describe('limits of registration', () => {
  it('A3 codes are limited per number', async () => {
    const town = await startTestRelay({ rateFactor: 1 });
    try {
      const number = freshNumber();
      const outcomes: string[] = [];
      for (let round = 0; round < 6; round += 1) {
        outcomes.push((await town.call(requestCode, { number })).outcome);
      }
      expect(outcomes).toEqual([...Array<string>(5).fill('code-sent'), 'rate-limited']);
      // Another number from the same address still gets one.
      const other = await town.call(requestCode, { number: freshNumber() });
      expect(other.outcome).toBe('code-sent');
      town.clock.now += 20 * minute;
      expect((await town.call(requestCode, { number })).outcome).toBe('code-sent');
    } finally {
      await town.close();
    }
  });

  it('A3 codes are limited per address and per prefix', async () => {
    const town = await startTestRelay({ rateFactor: 1 });
    try {
      const outcomes: string[] = [];
      for (let round = 0; round < 16; round += 1) {
        outcomes.push((await town.call(requestCode, { number: freshNumber() })).outcome);
      }
      expect(outcomes.at(-1)).toBe('rate-limited');
      expect(outcomes.filter((outcome) => outcome === 'code-sent')).toHaveLength(15);
    } finally {
      await town.close();
    }
  });

  it('A3 a daily budget ends the sending for everybody, and begins anew the next day', async () => {
    const town = await startTestRelay({ smsPerDay: 2 });
    try {
      for (let round = 0; round < 2; round += 1) {
        const answer = await town.call(requestCode, { number: freshNumber() });
        expect(answer.outcome).toBe('code-sent');
      }
      const spent = await town.call(requestCode, { number: freshNumber() });
      if (spent.outcome !== 'rate-limited') throw new Error(spent.outcome);
      expect(town.log()).toContain('daily sms budget is spent');
      town.clock.now += spent.retryAfterSeconds * 1000;
      const next = await town.call(requestCode, { number: freshNumber() });
      expect(next.outcome).toBe('code-sent');
    } finally {
      await town.close();
    }
  });
});
