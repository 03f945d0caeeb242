// Device lists, linking and key packages over real HTTP (D1–D5, L1–L3, K1–K3).

import { randomBytes } from 'node:crypto';
import { createAccountKey, signDeviceList, signStatement, verifyDeviceList } from '@siegel/crypto';
import { bucketOf, type ConversationId, uuidInBucket } from '@siegel/protocol/ids';
import {
  completeLink,
  finishLink,
  getAccount,
  getDeviceList,
  joinLink,
  openLink,
  readLink,
  statementTypes,
  updateDeviceList,
  uploadKeyPackages,
} from '@siegel/protocol/relay';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  certify,
  deviceId,
  keyPackageOf,
  listOf,
  newDevice,
  randomText,
  registerPerson,
  type TestDevice,
  type TestPerson,
  text,
  unchecked,
} from './person.ts';
import { openSocket, type RelayTest, startTestRelay } from './relay-world.ts';

let town: RelayTest;
beforeAll(async () => {
  town = await startTestRelay();
});
afterAll(() => town.close());

const minute = 60_000;

async function publish(person: TestPerson, list: Parameters<typeof signDeviceList>[0]) {
  const deviceList = await signDeviceList(list, person.key);
  return town.call(updateDeviceList, { deviceList }, person.token);
}

let linkCount = 0;
const newLinkId = () => {
  linkCount += 1;
  return `LINKAA${'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[linkCount >> 5]}${'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[linkCount & 31]}`;
};

/** A second device, linked by the whole ceremony. */
async function link(person: TestPerson, id = 2) {
  const linkId = newLinkId();
  const device = await newDevice(id);
  const leafKey = text(device.leafKey.publicKey);
  await town.call(openLink, { linkId }, person.token);
  const joined = await town.call(joinLink, { linkId, leafKey, proof: randomText(32) });
  if (joined.outcome !== 'joined') throw new Error(joined.outcome);
  const list = listOf(person, [person.device, device], { version: 2 });
  expect((await publish(person, list)).outcome).toBe('updated');
  const certificate = await certify(person, device, town.clock.now);
  const completion = { linkId, deviceId: device.id, certificate, proof: randomText(32) };
  expect((await town.call(completeLink, completion, person.token)).outcome).toBe('completed');
  const linked = await town.call(finishLink, { linkId, joinToken: joined.joinToken });
  if (linked.outcome !== 'linked') throw new Error(linked.outcome);
  return { device, token: linked.deviceToken, linked, completion, joinToken: joined.joinToken };
}

describe('device lists', () => {
  it('D1 a list counts only when the account key signed it and its version is the next', async () => {
    const alice = await registerPerson(town);
    const second = await newDevice(2);
    const next = listOf(alice, [alice.device, second], { version: 2 });
    const other = await createAccountKey();
    const foreign = await signDeviceList({ ...next, key: text(other.publicKey) }, other);
    const refused = await town.call(updateDeviceList, { deviceList: foreign }, alice.token);
    expect(refused.outcome).toBe('list-refused');
    expect(await publish(alice, { ...next, version: 3 })).toEqual({
      outcome: 'version-conflict',
      version: 1,
    });
    expect(await publish(alice, next)).toEqual({ outcome: 'updated', version: 2 });
    // The same list once more is the same list: an answer may get lost.
    expect(await publish(alice, next)).toEqual({ outcome: 'updated', version: 2 });
    expect(await publish(alice, { ...next, iat: next.iat + 1 })).toEqual({
      outcome: 'version-conflict',
      version: 2,
    });
  });

  it('D1 ids are distinct, below `next`, never used twice, and keep their leaf key', async () => {
    const alice = await registerPerson(town);
    const [second, twin] = [await newDevice(2), await newDevice(2)];
    const list = (devices: TestDevice[], changes = {}) =>
      listOf(alice, devices, { version: 2, ...changes });
    const wrong = [
      list([alice.device, second, twin]),
      list([alice.device, second], { next: deviceId(2) }),
      list([{ ...second, id: deviceId(1) }]),
      list([alice.device], { next: deviceId(1) }),
    ];
    for (const one of wrong) expect((await publish(alice, one)).outcome).toBe('list-refused');
    expect((await publish(alice, list([alice.device, second]))).outcome).toBe('updated');
    const without = listOf(alice, [alice.device], { version: 3, next: deviceId(3) });
    expect((await publish(alice, without)).outcome).toBe('updated');
    const back = listOf(alice, [alice.device, second], { version: 4 });
    expect((await publish(alice, back)).outcome).toBe('list-refused');
  });

  it('D1 there are at most eight devices', async () => {
    const alice = await registerPerson(town);
    const more: TestDevice[] = [];
    for (let id = 2; id <= 8; id += 1) more.push(await newDevice(id));
    const eight = listOf(alice, [alice.device, ...more], { version: 2 });
    expect((await publish(alice, eight)).outcome).toBe('updated');
    const last = eight.devices.at(-1)!;
    const nine = {
      ...eight,
      ...{ version: 3, next: deviceId(10) },
      devices: [...eight.devices, { ...last, id: deviceId(9), leaf: randomText(32) }],
    };
    // Our own signer would not sign nine; another client's may.
    const deviceList = await signStatement(unchecked(statementTypes.deviceList), nine, alice.key);
    const refused = await town.call(updateDeviceList, { deviceList }, alice.token);
    expect(refused.outcome).toBe('list-refused');
  });

  it('D2 the list is handed out exactly as it was signed', async () => {
    const alice = await registerPerson(town);
    const list = listOf(alice, [await newDevice(3), alice.device], { version: 2 });
    const deviceList = await signDeviceList(list, alice.key);
    await town.call(updateDeviceList, { deviceList }, alice.token);
    const { accountId } = alice;
    const own = await town.call(getDeviceList, { accountId }, alice.token);
    expect(own).toEqual({ outcome: 'list', deviceList });
    expect((await town.call(getAccount, {}, alice.token)).deviceList).toBe(deviceList);
    const read = await verifyDeviceList(deviceList, { expectedKey: text(alice.key.publicKey) });
    expect(read).toMatchObject({ outcome: 'valid', statement: list });
  });

  it('D3 a device no longer on the list loses token, socket, key packages and leaves', async () => {
    const alice = await registerPerson(town);
    const linked = await link(alice);
    const keyPackages = [await keyPackageOf(alice, linked.device, { now: town.clock.now })];
    await town.call(uploadKeyPackages, { keyPackages }, linked.token);
    const socket = await openSocket(town.relay.url);
    socket.send({ type: 'hello', token: linked.token });
    await socket.next('ready');
    const conversationId = await insertLeaf(alice, 2);
    const list = listOf(alice, [alice.device], { version: 3, next: deviceId(3) });
    expect((await publish(alice, list)).outcome).toBe('updated');
    await expect(town.call(getAccount, {}, linked.token)).rejects.toThrow('401');
    expect((await socket.next('bye'))['reason']).toBe('revoked');
    await socket.closed;
    const rest = await town.test.database.query(
      'SELECT 1 FROM key_packages WHERE account_id = $1 AND device_id = 2',
      [alice.accountId],
    );
    expect(rest.rows).toEqual([]);
    expect(await leafIsRevoked(conversationId, alice)).toBe(true);
    // Its token is not good for a socket either.
    const late = await openSocket(town.relay.url);
    late.send({ type: 'hello', token: linked.token });
    expect((await late.next('bye'))['reason']).toBe('unauthenticated');
  });

  it('D3 D4 a revocation that a crash cut short is finished later', async () => {
    const alice = await registerPerson(town);
    const { device } = await link(alice);
    const conversationId = await insertLeaf(alice, device.id);
    await town.test.database.query(
      `UPDATE devices SET revoked_at = $3, token_hash = NULL
       WHERE account_id = $1 AND device_id = $2`,
      [alice.accountId, device.id, town.clock.now],
    );
    await town.relay.runUpkeep();
    expect(await leafIsRevoked(conversationId, alice)).toBe(true);
  });

  /** A conversation in which this device of the person is a leaf. */
  async function insertLeaf(person: TestPerson, device: number): Promise<ConversationId> {
    const bucket = bucketOf(person.accountId);
    const conversationId = uuidInBucket(bucket, randomBytes(16)) as ConversationId;
    const run = (query: string, values: unknown[]) => town.test.database.query(query, values);
    await run(
      `INSERT INTO conversations (bucket, conversation_id, kind, founded, created_at)
       VALUES ($1, $2, 'own', true, 0)`,
      [bucket, conversationId],
    );
    await run(
      `INSERT INTO members (bucket, conversation_id, account_id, kind, role)
       VALUES ($1, $2, $3, 'person', 'admin')`,
      [bucket, conversationId, person.accountId],
    );
    await run(
      `INSERT INTO leaves (bucket, conversation_id, account_id, device_id, leaf_index, since_epoch)
       VALUES ($1, $2, $3, $4, 1, 0)`,
      [bucket, conversationId, person.accountId, device],
    );
    await insertConversation(person, conversationId);
    return conversationId;
  }

  async function leafIsRevoked(conversationId: ConversationId, person: TestPerson) {
    const { rows } = await town.test.database.query<{ revoked: boolean }>(
      'SELECT revoked FROM leaves WHERE conversation_id = $1 AND account_id = $2',
      [conversationId, person.accountId],
    );
    return rows[0]?.revoked;
  }

  async function insertConversation(person: TestPerson, conversationId: ConversationId) {
    await town.test.database.query(
      `INSERT INTO account_conversations (bucket, account_id, conversation_id)
       VALUES ($1, $2, $3)`,
      [bucketOf(person.accountId), person.accountId, conversationId],
    );
  }

  it('D5 a list is read by the account and by those who share a conversation, not by others', async () => {
    const [alice, bob] = [await registerPerson(town), await registerPerson(town)];
    const ask = () => town.call(getDeviceList, { accountId: bob.accountId }, alice.token);
    expect(await ask()).toEqual({ outcome: 'unknown' });
    const conversationId = uuidInBucket(7, randomBytes(16)) as ConversationId;
    await insertConversation(alice, conversationId);
    expect(await ask()).toEqual({ outcome: 'unknown' });
    await insertConversation(bob, conversationId);
    expect(await ask()).toEqual({ outcome: 'list', deviceList: bob.signedList });
    const nobody = uuidInBucket(7, randomBytes(16)) as typeof bob.accountId;
    const unknown = await town.call(getDeviceList, { accountId: nobody }, alice.token);
    expect(unknown).toEqual({ outcome: 'unknown' });
  });
});

describe('linking', () => {
  it('L1 a linking code lives ten minutes and is joined once', async () => {
    const alice = await registerPerson(town);
    const linkId = newLinkId();
    const opened = await town.call(openLink, { linkId }, alice.token);
    expect(opened).toEqual({ outcome: 'opened', expiresInSeconds: 600 });
    const offer = { linkId, leafKey: randomText(32), proof: randomText(32) };
    expect((await town.call(joinLink, offer)).outcome).toBe('joined');
    const second = { linkId, leafKey: randomText(32), proof: randomText(32) };
    expect((await town.call(joinLink, second)).outcome).toBe('link-over');
    const late = newLinkId();
    await town.call(openLink, { linkId: late }, alice.token);
    town.clock.now += 10 * minute;
    expect((await town.call(joinLink, { ...offer, linkId: late })).outcome).toBe('link-over');
    expect((await town.call(joinLink, { ...offer, linkId: 'ZZZZZZZZ' })).outcome).toBe('link-over');
  });

  it('L1 a code that is open belongs to who opened it', async () => {
    const [alice, bob] = [await registerPerson(town), await registerPerson(town)];
    const linkId = newLinkId();
    await town.call(openLink, { linkId }, alice.token);
    expect((await town.call(openLink, { linkId }, bob.token)).outcome).toBe('taken');
    expect((await town.call(readLink, { linkId }, bob.token)).outcome).toBe('link-over');
    expect((await town.call(readLink, { linkId }, alice.token)).outcome).toBe('waiting');
  });

  it('L2 leaf key, certificate and both proofs are carried unchanged', async () => {
    const alice = await registerPerson(town);
    const { linked, completion, device } = await link(alice);
    expect(linked).toMatchObject({
      ...{ accountId: alice.accountId, deviceId: device.id },
      ...{ certificate: completion.certificate, proof: completion.proof },
    });
    const linkId = newLinkId();
    await town.call(openLink, { linkId }, alice.token);
    const offer = { leafKey: randomText(32), proof: randomText(32) };
    await town.call(joinLink, { linkId, ...offer });
    const shown = await town.call(readLink, { linkId }, alice.token);
    expect(shown).toEqual({ outcome: 'joined', ...offer });
  });

  it('L3 only a listed leaf key gets a token, and only its joiner', async () => {
    const alice = await registerPerson(town);
    const linkId = newLinkId();
    const device = await newDevice(2);
    await town.call(openLink, { linkId }, alice.token);
    const leafKey = text(device.leafKey.publicKey);
    const joined = await town.call(joinLink, { linkId, leafKey, proof: randomText(32) });
    if (joined.outcome !== 'joined') throw new Error(joined.outcome);
    const { joinToken } = joined;
    const certificate = await certify(alice, device, town.clock.now);
    const completion = { linkId, deviceId: device.id, certificate, proof: randomText(32) };
    const complete = () => town.call(completeLink, completion, alice.token);
    expect((await complete()).outcome).toBe('not-on-list');
    expect((await town.call(finishLink, { linkId, joinToken })).outcome).toBe('waiting');
    // Another leaf key under the same id is not the one that joined.
    const impostor = listOf(alice, [alice.device, await newDevice(2)], { version: 2 });
    await publish(alice, impostor);
    expect((await complete()).outcome).toBe('not-on-list');
    const third = { ...device, id: deviceId(3) };
    const right = listOf(alice, [alice.device, third], { version: 3 });
    expect((await publish(alice, right)).outcome).toBe('updated');
    const good = {
      ...completion,
      deviceId: third.id,
      certificate: await certify(alice, third, town.clock.now),
    };
    expect((await town.call(completeLink, good, alice.token)).outcome).toBe('completed');
    const guess = await town.call(finishLink, { linkId, joinToken: randomText(32) });
    expect(guess.outcome).toBe('link-over');
    const linked = await town.call(finishLink, { linkId, joinToken });
    if (linked.outcome !== 'linked') throw new Error(linked.outcome);
    const account = await town.call(getAccount, {}, linked.deviceToken);
    expect(account).toMatchObject({ deviceId: 3, accountId: alice.accountId });
    // Once used, nobody gets another token for it.
    expect((await town.call(finishLink, { linkId, joinToken })).outcome).toBe('link-over');
  });
});

describe('key packages', () => {
  it('K1 a key package is stored only when it is whole, in time and of the uploading device', async () => {
    const [alice, bob] = [await registerPerson(town), await registerPerson(town)];
    const now = town.clock.now;
    const good = await keyPackageOf(alice, alice.device, { now });
    const flipped = Buffer.from(good, 'base64url');
    flipped.writeUInt8(flipped.readUInt8(flipped.length - 1) ^ 1, flipped.length - 1);
    const wrong: [string, string][] = [
      [await keyPackageOf(bob, bob.device, { now }), 'other-device'],
      [await keyPackageOf(alice, await newDevice(1), { now }), 'other-device'],
      [await keyPackageOf(alice, { ...alice.device, id: deviceId(2) }, { now }), 'other-device'],
      [await keyPackageOf(alice, alice.device, { now, lastResort: true }), 'last-resort'],
      [flipped.toString('base64url'), 'signature-invalid'],
      [randomText(100), 'malformed'],
    ];
    for (const [one, reason] of wrong) {
      const answer = await town.call(uploadKeyPackages, { keyPackages: [good, one] }, alice.token);
      expect(answer).toEqual({ outcome: 'key-package-refused', index: 1, reason });
    }
    expect((await town.call(getAccount, {}, alice.token)).keyPackagesLeft).toBe(0);
    const plain = await town.call(
      uploadKeyPackages,
      { keyPackages: [], lastResort: good },
      alice.token,
    );
    expect(plain.outcome).toBe('key-package-refused');
  });

  it('K2 a package that was claimed does not come back by being uploaded again', async () => {
    const alice = await registerPerson(town);
    const now = town.clock.now;
    const keyPackages = [
      await keyPackageOf(alice, alice.device, { now }),
      await keyPackageOf(alice, alice.device, { now }),
    ];
    const lastResort = await keyPackageOf(alice, alice.device, { now, lastResort: true });
    const upload = () => town.call(uploadKeyPackages, { keyPackages, lastResort }, alice.token);
    expect(await upload()).toEqual({ outcome: 'stored', left: 2 });
    await town.test.database.query(
      `DELETE FROM key_packages WHERE account_id = $1 AND reference = (
         SELECT min(reference::text)::bytea FROM key_packages
         WHERE account_id = $1 AND NOT last_resort)`,
      [alice.accountId],
    );
    expect(await upload()).toEqual({ outcome: 'stored', left: 1 });
  });

  it('K2 there is one last-resort package, the newest', async () => {
    const alice = await registerPerson(town);
    const now = town.clock.now;
    for (let round = 0; round < 2; round += 1) {
      const lastResort = await keyPackageOf(alice, alice.device, { now, lastResort: true });
      await town.call(uploadKeyPackages, { keyPackages: [], lastResort }, alice.token);
    }
    const { rows } = await town.test.database.query(
      'SELECT 1 FROM key_packages WHERE account_id = $1 AND last_resort',
      [alice.accountId],
    );
    expect(rows).toHaveLength(1);
  });

  it('K3 a device reads how many are left, those that have expired not counted', async () => {
    const alice = await registerPerson(town);
    const now = town.clock.now;
    const keyPackages = [
      await keyPackageOf(alice, alice.device, { now, days: 1 }),
      await keyPackageOf(alice, alice.device, { now, days: 60 }),
    ];
    const stored = await town.call(uploadKeyPackages, { keyPackages }, alice.token);
    expect(stored).toEqual({ outcome: 'stored', left: 2 });
    town.clock.now += 3 * 86_400_000;
    expect((await town.call(getAccount, {}, alice.token)).keyPackagesLeft).toBe(1);
  });
});
