// Story (g), the operator: with full power over its own database and over its answers. Each attack is refused, told in the chat,
// or comes to nothing; each test says which.
import {
  continueDeviceLink,
  continueJoining,
  joinDeviceLink,
  openDeviceLink,
  pinOperator,
  readIdentity,
} from '@siegel/client';
import { createMemoryStore, nodeEnvironment, openNodeDevice } from '@siegel/client/node';
import {
  createSigningKey,
  signBusinessCertificate,
  signNumberStatement,
  verifyDeviceList,
} from '@siegel/crypto';
import { PhoneNumber } from '@siegel/protocol/ids';
import type { BusinessCertificate, NumberStatement } from '@siegel/protocol/relay';
import type { Person } from '@siegel/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { enter, forgeDevice, letIn, openAll } from './ghost-device.ts';
import {
  type Chat,
  fresh,
  type HostileScene,
  hostileScene,
  isMessage,
  noticed,
} from './hostile-scene.ts';
import { statusesOf, waitForStatus } from './read-webhook.ts';
import { shows } from './shown-text.ts';

let scene: HostileScene;

beforeAll(async () => {
  scene = await hostileScene();
});
afterEach(() => scene?.line.rule({}));
afterAll(() => scene?.[Symbol.asyncDispose]());

const deviceListOf = async (accountId: string): Promise<{ signed: string; version: number }> => {
  const [row] = await scene.hands.query<{ device_list: string; device_list_version: number }>(
    'SELECT device_list, device_list_version FROM accounts WHERE account_id = $1',
    [accountId],
  );
  return { signed: row!.device_list, version: row!.device_list_version };
};

const handOut = (accountId: string, signed: string, version: number): Promise<unknown> =>
  scene.hands.query(
    'UPDATE accounts SET device_list = $2, device_list_version = $3 WHERE account_id = $1',
    [accountId, signed, version],
  );

async function readList(signed: string) {
  const verified = await verifyDeviceList(signed);
  if (verified.outcome !== 'valid') throw new Error(verified.outcome);
  return verified.statement;
}

const change = { flight: 'NW777', time: '07:07', gate: 'G7' };

async function expectNobodyReached(one: Person): Promise<void> {
  const { wamid } = await scene.system.sendFlightUpdate({ to: one.number, ...change });
  await waitForStatus(scene.sink, wamid, 'failed');
  expect(statusesOf(scene.sink, wamid)).toMatchObject([{ errors: [{ code: 131026 }] }]);
  const sealed = await scene.hands.query(
    'SELECT 1 FROM log JOIN members USING (bucket, conversation_id) WHERE members.account_id = $1',
    [one.account.accountId],
  );
  expect(sealed).toEqual([]);
  expect(one.received).toEqual([]);
}

const packagesOf = async (accountId: string): Promise<number> => {
  const rows = await scene.hands.query('SELECT 1 FROM key_packages WHERE account_id = $1', [
    accountId,
  ]);
  return rows.length;
};

/** Until nothing of the chat waits for the firm any more. */
const firmHasHeard = ({ one, conversationId }: Chat): Promise<void> =>
  expect
    .poll(
      () =>
        scene.hands.query(
          'SELECT 1 FROM mailbox_items WHERE conversation_id = $1 AND account_id <> $2',
          [conversationId, one.account.accountId],
        ),
      { timeout: 30_000 },
    )
    .toEqual([]);

describe('in the directory', () => {
  test('a device the account key did not sign: the list is refused, nothing is sealed to it', async () => {
    const one = await scene.open();
    const { accountId } = one.account;
    const { signed, version } = await deviceListOf(accountId);
    const [head, , signature] = signed.split('.');
    const list = await readList(signed);
    const ghost = await forgeDevice(list);
    const more = { ...list, devices: (await readList(ghost.signedList)).devices };
    const payload = Buffer.from(JSON.stringify(more)).toString('base64url');
    await handOut(accountId, `${head}.${payload}.${signature}`, version);
    await expectNobodyReached(one);
    await handOut(accountId, signed, version);
  });

  test.each([
    ['the firm, the person kept from hearing of it', true],
    ['the person and the firm', false],
  ])('a ghost that enters by the relay’s own door is refused by %s', async (_, isWithheld) => {
    const alice = await scene.chat();
    const { accountId } = alice.one.account;
    const { signed } = await deviceListOf(accountId);
    const ghost = await forgeDevice(await readList(signed));
    const { identity, deviceId } = ghost;
    const token = await letIn(scene.hands, {
      accountId,
      deviceId,
      leaf: identity.leafKey.publicKey,
    });
    const url = scene.town.file.relay;
    const from = scene.line.seen.length;
    if (isWithheld) {
      scene.line.rule({ deliver: (items) => items.filter(({ type }) => type !== 'commit') });
    }
    const entered = await enter(scene.engine, { ...alice, url, token }, identity);
    expect(entered.outcome).toBe('accepted');
    await firmHasHeard(alice);
    await noticed(alice.one, 'new-generation');
    await scene.expectTalk(alice);
    const sealed = scene.line.seen.slice(from).filter(isMessage);
    expect(sealed.length).toBeGreaterThan(0);
    const opened = await openAll(scene.engine, entered.session, sealed);
    expect(new Set(opened)).toEqual(new Set(['refused']));
    const leaves = await scene.hands.query('SELECT 1 FROM leaves WHERE conversation_id = $1', [
      alice.conversationId,
    ]);
    expect(leaves).toHaveLength(2);
  });

  test('key packages of its own: left out, nothing is sealed to them', async () => {
    const one = await scene.open();
    const { accountId } = one.account;
    await expect.poll(() => packagesOf(accountId), { timeout: 30_000 }).toBeGreaterThan(0);
    const ghost = await forgeDevice(await readList((await deviceListOf(accountId)).signed));
    const own = await scene.engine.newKeyPackage({
      identity: ghost.identity,
      now: nodeEnvironment.now(),
      lifetimeDays: 60,
      lastResort: true,
    });
    await scene.hands.query('UPDATE key_packages SET key_package = $2 WHERE account_id = $1', [
      accountId,
      Buffer.from(own.publicBytes),
    ]);
    await expectNobodyReached(one);
  });

  test('an older list, and the removed device let in again: nothing sent afterwards is its own', async () => {
    const alice = await scene.chat();
    const { accountId } = alice.one.account;
    const url = scene.town.file.relay;
    const identity = (await readIdentity(alice.store))!;
    const laptopStore = createMemoryStore();
    const first = await openNodeDevice({ url, store: alice.store, token: identity.deviceToken });
    const second = await openNodeDevice({ url, store: laptopStore });
    const link = await openDeviceLink(first, identity);
    if (link.outcome !== 'opened') throw new Error(link.outcome);
    await joinDeviceLink(second, link.code);
    await continueDeviceLink(first, identity);
    await continueJoining(second);
    await Promise.all([first.connection.close(), second.connection.close()]);
    const removed = (await readIdentity(laptopStore))!;
    await enter(scene.engine, { ...alice, url, token: removed.deviceToken }, removed);
    await noticed(alice.one, 'device-added');
    await scene.expectTalk(alice);
    const old = await deviceListOf(accountId);
    await alice.one.account.removeDevice(removed.deviceId);
    await noticed(alice.one, 'device-removed');
    await alice.one.account.settled();

    // Back to the list of before, and the phone is kept from hearing of who enters.
    await handOut(accountId, old.signed, old.version);
    const { deviceId } = removed;
    const leaf = removed.leafKey.publicKey;
    const token = await letIn(scene.hands, { accountId, deviceId, leaf });
    scene.line.rule({ deliver: (items) => items.filter(({ type }) => type !== 'commit') });
    const from = scene.line.seen.length;
    const entered = await enter(scene.engine, { ...alice, url, token }, removed);
    expect(entered.outcome).toBe('accepted');
    await firmHasHeard(alice);
    const secret = fresh('Nur für das Telefon.');
    await scene.system.sendText(alice.one.number, secret);
    await alice.one.waitFor(shows(secret), { timeoutMs: 60_000 });
    await scene.expectTalk(alice);
    const sealed = scene.line.seen.slice(from).filter(isMessage);
    const opened = await openAll(scene.engine, entered.session, sealed);
    expect(new Set(opened)).toEqual(new Set(['refused']));
  });
});

describe('in the statements it signs', () => {
  const resign = async <Claims>(
    signed: string,
    sign: (claims: Claims, key: Awaited<ReturnType<typeof createSigningKey>>) => Promise<string>,
    change: Partial<Claims> = {},
  ): Promise<string> => {
    const claims = Buffer.from(signed.split('.')[1]!, 'base64url').toString('utf8');
    return sign({ ...(JSON.parse(claims) as Claims), ...change }, await createSigningKey());
  };

  test('a certificate under another key than the pinned one: no certificate is shown, no chat is begun', async () => {
    const one = await scene.open();
    const forge = (signed: string) =>
      resign<BusinessCertificate>(signed, signBusinessCertificate, { displayName: 'Bank' });
    const number = PhoneNumber.parse(scene.firm.number);
    const honest = await one.account.lookUp(number);
    expect(honest).toMatchObject({ contact: { certificate: { displayName: 'Nordwind Air' } } });
    const [call] = scene.line.calls.filter(({ path }) => path === '/v1/look-ups').slice(-1);
    const forged = await forge((call!.answer as { certificate: string }).certificate);
    scene.line.rule({
      answer: (_, body) =>
        typeof body === 'object' && body !== null && 'certificate' in body
          ? { ...body, certificate: forged }
          : body,
    });
    const other = await scene.open();
    const found = await other.account.lookUp(number);
    if (found.outcome !== 'business') throw new Error(found.outcome);
    expect(found.contact.certificate).toBeUndefined();
    expect(found.contact.displayName).toBeUndefined();
    // Nor is a chat begun with whoever shows it.
    const clientId = await other.sendTextToNumber(scene.firm.number, fresh('Wer sind Sie?'));
    await expect(other.waitForStatus(clientId, 'sent')).rejects.toMatchObject({
      code: 'relay-refused',
    });
    // Where the honest one is pinned, the false one replaces nothing.
    const again = await one.account.lookUp(number);
    expect(again).toMatchObject({ contact: { certificate: { displayName: 'Nordwind Air' } } });
  });

  test('a number statement under another key: the look-up is refused', async () => {
    const [one, other] = [await scene.open(), await scene.open()];
    const number = PhoneNumber.parse(other.number);
    expect((await one.account.lookUp(number)).outcome).toBe('person');
    const [call] = scene.line.calls.filter(({ path }) => path === '/v1/look-ups').slice(-1);
    const { numberStatement } = call!.answer as { numberStatement: string };
    const forged = await resign<NumberStatement>(numberStatement, signNumberStatement);
    scene.line.rule({
      answer: ({ path }, body) =>
        path === '/v1/look-ups' ? { ...(body as object), numberStatement: forged } : body,
    });
    const stranger = await scene.open();
    await expect(stranger.account.lookUp(number)).rejects.toMatchObject({ code: 'relay-refused' });
  });

  test('another operator key than the pinned one: told, and not believed', async () => {
    const { store } = await scene.chat();
    const key = Buffer.from((await createSigningKey()).publicKey).toString('base64url');
    scene.line.rule({
      answer: ({ path }, body) =>
        path === '/v1/operator'
          ? { ...(body as object), keys: [{ keyId: 'other', publicKey: key }] }
          : body,
    });
    const device = await openNodeDevice({ url: scene.line.url, store });
    const pinned = await pinOperator(device);
    await device.connection.close();
    expect(pinned.outcome).toBe('changed');
    if (pinned.outcome === 'changed') expect(pinned.operator.keys).not.toContain(key);
  });
});
