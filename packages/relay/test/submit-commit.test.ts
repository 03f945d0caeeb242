// Commits by compare-and-set, what they may do to the roster, and generations (rules C5 to C7, G2).

import type { Database } from '@siegel/database';
import { bucketOf, type ConversationId } from '@siegel/protocol/ids';
import { getConversation, type RosterLeaf } from '@siegel/protocol/relay';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createHotPath } from '../src/create-hot-path.ts';
import {
  bytes,
  clientId,
  createWorld,
  type Device,
  leafOf,
  type TestAccount,
  type World,
} from './hot-path-world.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
beforeEach(() => {
  world.clock.now += 86_400_000;
});

const first = ({ devices }: TestAccount): Device => devices[0]!;
const second = ({ devices }: TestAccount): Device => devices[1]!;

const direct = ({ accountId }: TestAccount) => ({ kind: 'direct', accountId }) as const;
const group = (...members: TestAccount[]) =>
  ({ kind: 'group', accounts: members.map(({ accountId }) => accountId) }) as const;

async function pair(devices = 1) {
  const [anna, ben] = [await world.addPerson(devices), await world.addPerson(devices)];
  return { anna, ben, ...(await world.found(first(anna), direct(ben))) };
}

async function groupOfThree() {
  const [anna, ben, cleo] = [
    await world.addPerson(),
    await world.addPerson(2),
    await world.addPerson(),
  ];
  const founded = await world.found(first(anna), group(ben, cleo));
  const leaf = (device: Device): RosterLeaf =>
    founded.leaves.find(
      ({ accountId, deviceId }) => accountId === device.accountId && deviceId === device.deviceId,
    )!;
  return { anna, ben, cleo, leaf, ...founded };
}

async function stateOf(member: Device, conversationId: ConversationId) {
  const read = await world.call(getConversation, member, { conversationId });
  if (read.outcome !== 'conversation') throw new Error(read.outcome);
  return read.state;
}

const refused = (reason: string) => ({ outcome: 'roster-refused', reason });
const lastType = async (device: Device) => (await world.mailbox(device)).at(-1)?.type;

test('C7 G2 A founding commit founds: its roster stands, everybody else gets the Welcome', async () => {
  const [anna, ben] = [await world.addPerson(2), await world.addPerson()];
  const opened = await world.open(first(anna), direct(ben));
  if (opened.outcome !== 'to-found') throw new Error(opened.outcome);
  const { conversationId } = opened.state;
  const added = [leafOf(second(anna), 1), leafOf(first(ben), 2)];
  const welcome = bytes(300);
  const answer = await world.commit(first(anna), conversationId, { added, welcome });
  expect(answer).toEqual({
    outcome: 'accepted',
    sequence: 1,
    epoch: 1,
    acceptedAt: world.clock.now,
  });
  const state = await stateOf(first(ben), conversationId);
  expect(state).toMatchObject({ founded: true, generation: 0, epoch: 1 });
  expect(state.roster).toEqual([leafOf(first(anna), 0), ...added]);
  for (const device of [second(anna), first(ben)]) {
    const items = await world.mailbox(device);
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({ type: 'welcome', mls: welcome, epoch: 0, sequence: 1 });
  }
  expect(await world.mailbox(first(anna))).toEqual([]);
});

test('C5 A commit is taken for the current epoch only; the loser learns the winner', async () => {
  const { anna, ben, conversationId } = await pair();
  const member = { form: 'member', epoch: 1 } as const;
  expect(await world.commit(first(anna), conversationId, member)).toMatchObject({ epoch: 2 });
  const conflict = { outcome: 'epoch-conflict', generation: 0, epoch: 2 };
  expect(await world.commit(first(ben), conversationId, member)).toEqual(conflict);
  for (const epoch of [0, 3]) {
    const wrong = { form: 'member', epoch } as const;
    expect(await world.commit(first(ben), conversationId, wrong)).toEqual(conflict);
  }
  const generation = { form: 'member', epoch: 2, generation: 1 } as const;
  expect(await world.commit(first(ben), conversationId, generation)).toEqual(conflict);
  expect(await lastType(first(ben))).toBe('commit');
  expect(await lastType(first(anna))).toBeUndefined();
});

test('C5 Of two who commit at once exactly one is taken, and both see one roster', async () => {
  const { anna, ben, conversationId } = await pair();
  for (let epoch = 1; epoch <= 10; epoch += 1) {
    const answers = await Promise.all(
      [first(anna), first(ben)].map((device) =>
        world.commit(device, conversationId, { form: 'member', epoch }),
      ),
    );
    const outcomes = answers.map(({ outcome }) => outcome).sort();
    expect(outcomes).toEqual(['accepted', 'epoch-conflict']);
  }
  expect(await stateOf(first(anna), conversationId)).toMatchObject({ epoch: 11 });
  const seen = [...(await world.mailbox(first(anna))), ...(await world.mailbox(first(ben)))];
  const epochs = seen.filter(({ type }) => type === 'commit').map(({ epoch }) => epoch);
  expect(epochs.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test('C5 Of two founders exactly one founds', async () => {
  const [anna, ben] = [await world.addPerson(), await world.addPerson()];
  const opened = await Promise.all([
    world.open(first(anna), direct(ben)),
    world.open(first(ben), direct(anna)),
  ]);
  const [conversationId] = opened.map((one) => ('state' in one ? one.state.conversationId : null));
  const answers = await Promise.all([
    world.commit(first(anna), conversationId!, { added: [leafOf(first(ben), 1)] }),
    world.commit(first(ben), conversationId!, { added: [leafOf(first(anna), 1)] }),
  ]);
  expect(answers.map(({ outcome }) => outcome).sort()).toEqual(['accepted', 'epoch-conflict']);
  const state = await stateOf(first(anna), conversationId!);
  expect(state.roster).toHaveLength(2);
});

test('C5 S3 The same client id answers as it did then and changes nothing', async () => {
  const { anna, ben, conversationId } = await pair();
  const once = { form: 'member', epoch: 1, clientId: clientId() } as const;
  const answer = await world.commit(first(anna), conversationId, once);
  world.clock.now += 1000;
  expect(await world.commit(first(anna), conversationId, once)).toEqual(answer);
  expect(await stateOf(first(anna), conversationId)).toMatchObject({ epoch: 2 });
  expect(await world.mailbox(first(ben))).toHaveLength(2);
  const message = { clientId: clientId(), epoch: 2 };
  await world.send(first(anna), conversationId, message);
  const mixed = world.commit(first(anna), conversationId, { ...message, form: 'member' });
  await expect(mixed).rejects.toMatchObject({ code: 'request-invalid' });
});

test('C4 C5 Who is no member cannot commit, in any form', async () => {
  const { conversationId } = await pair();
  const stranger = first(await world.addPerson());
  for (const form of ['founding', 'member', 'external'] as const) {
    const added = form === 'external' ? [leafOf(stranger, 5)] : [];
    const answer = await world.commit(stranger, conversationId, { form, epoch: 1, added });
    expect(answer).toEqual({ outcome: 'not-member' });
  }
});

test('C6 A member adds and removes devices of its own account', async () => {
  const { anna, ben, conversationId } = await pair();
  const late = await world.addDevice(anna, 2);
  const added = [leafOf(late, 2)];
  const member = { form: 'member', epoch: 1 } as const;
  expect((await world.commit(first(anna), conversationId, { ...member, added })).outcome).toBe(
    'accepted',
  );
  expect(await lastType(late)).toBe('welcome');
  expect(await lastType(first(ben))).toBe('commit');
  const removed = added;
  const removal = { form: 'member', epoch: 2, removed } as const;
  expect((await world.commit(first(anna), conversationId, removal)).outcome).toBe('accepted');
  // Its account still has the device, so it learns of the removal.
  expect(await lastType(late)).toBe('commit');
  expect((await stateOf(first(anna), conversationId)).roster).toHaveLength(2);
});

test('C6 A member touches nobody else’s devices', async () => {
  const { anna, ben, conversationId, leaves } = await pair(2);
  const bens = leaves.filter(({ accountId }) => accountId === ben.accountId);
  const bensLate = await world.addDevice(ben, 3);
  const stranger = first(await world.addPerson());
  const member = { form: 'member', epoch: 1 } as const;
  const commit = (change: { added?: RosterLeaf[]; removed?: RosterLeaf[] }) =>
    world.commit(first(anna), conversationId, { ...member, ...change });
  expect(await commit({ removed: [bens[0]!] })).toEqual(refused('removal-not-allowed'));
  expect(await commit({ added: [leafOf(bensLate, 9)] })).toEqual(refused('addition-not-allowed'));
  expect(await commit({ added: [leafOf(stranger, 9)] })).toEqual(refused('addition-not-allowed'));
  expect(await stateOf(first(anna), conversationId)).toMatchObject({ epoch: 1 });
});

test('C6 Leaves must be as the roster has them, current, and each named once', async () => {
  const { anna, conversationId } = await pair(2);
  const late = await world.addDevice(anna, 3);
  const gone = await world.addDevice(anna, 4);
  await world.revoke(gone);
  const other = leafOf(second(anna), 1);
  const member = { form: 'member', epoch: 1 } as const;
  const commit = (change: { added?: RosterLeaf[]; removed?: RosterLeaf[]; welcome?: string }) =>
    world.commit(first(anna), conversationId, { ...member, ...change });
  const never = { ...leafOf(late, 9), deviceId: 99 as never };
  expect(await commit({ added: [leafOf(late, 0)] })).toEqual(refused('leaf-taken'));
  expect(await commit({ added: [leafOf(second(anna), 9)] })).toEqual(refused('leaf-taken'));
  expect(await commit({ added: [leafOf(gone, 9)] })).toEqual(refused('device-not-on-list'));
  expect(await commit({ added: [never] })).toEqual(refused('device-not-on-list'));
  expect(await commit({ added: [leafOf(late, 9)], welcome: '' })).toEqual(
    refused('welcome-missing'),
  );
  expect(await commit({ removed: [{ ...other, leafIndex: 8 }] })).toEqual(refused('leaf-unknown'));
  expect(await commit({ removed: [leafOf(late, 9)] })).toEqual(refused('leaf-unknown'));
  expect(await commit({ removed: [leafOf(first(anna), 0)] })).toEqual(refused('committer-removed'));
  expect(await commit({ removed: [other, other] })).toEqual(refused('leaf-named-twice'));
  const twice = [leafOf(late, 9), leafOf(late, 10)];
  expect(await commit({ added: twice })).toEqual(refused('leaf-named-twice'));
});

test('C6 A member device outside the roster commits by external commit only', async () => {
  const { anna, ben, conversationId } = await pair();
  const late = await world.addDevice(anna, 2);
  const member = { form: 'member', epoch: 1 } as const;
  expect(await world.commit(late, conversationId, member)).toEqual(
    refused('committer-not-in-roster'),
  );
  const external = { form: 'external', epoch: 1 } as const;
  const added = [leafOf(late, 2)];
  const foreign = [leafOf(first(ben), 1)];
  const commit = (change: { added: RosterLeaf[]; removed?: RosterLeaf[] }) =>
    world.commit(late, conversationId, { ...external, ...change });
  expect(await commit({ added, removed: foreign })).toEqual(refused('removal-not-allowed'));
  expect(await commit({ added: [] })).toEqual(refused('external-adds-itself-only'));
  const two = [...added, leafOf(await world.addDevice(anna, 3), 3)];
  expect(await commit({ added: two })).toEqual(refused('external-adds-itself-only'));
  expect(await commit({ added, removed: [leafOf(first(anna), 0)] })).toMatchObject({ epoch: 2 });
  const { roster } = await stateOf(late, conversationId);
  expect(roster).toEqual([leafOf(first(ben), 1), leafOf(late, 2)]);
  // The device left behind by its own account learns of it, and so does the other side.
  expect(await lastType(first(anna))).toBe('commit');
  expect(await lastType(first(ben))).toBe('commit');
  expect(await world.mailbox(late)).toEqual([]);
});

test('C6 A device that comes back replaces its own leaf', async () => {
  const { anna, ben, conversationId } = await pair();
  const resync = {
    form: 'external',
    epoch: 1,
    added: [leafOf(first(anna), 0)],
    removed: [leafOf(first(anna), 0)],
  } as const;
  expect(
    await world.commit(first(anna), conversationId, {
      ...resync,
      added: [...resync.added],
      removed: [...resync.removed],
    }),
  ).toMatchObject({ epoch: 2 });
  expect((await stateOf(first(ben), conversationId)).roster).toHaveLength(2);
  expect((await world.send(first(anna), conversationId, { epoch: 2 })).outcome).toBe('accepted');
});

test('C6 Anyone may remove leaves that are on no current list', async () => {
  const { anna, ben, conversationId } = await pair(2);
  await world.revoke(second(ben));
  await world.hotPath.duties.revokeLeaves(ben.accountId, [second(ben).deviceId]);
  const state = await stateOf(first(anna), conversationId);
  expect(state.revoked).toHaveLength(1);
  const before = await world.mailbox(second(ben));
  expect(before).toEqual([]);
  const removed = state.revoked;
  const answer = await world.commit(first(anna), conversationId, {
    form: 'member',
    epoch: 1,
    removed,
  });
  expect(answer.outcome).toBe('accepted');
  // The account stays a member, and the revoked device gets nothing.
  expect(await world.mailbox(second(ben))).toEqual([]);
  const after = await stateOf(first(ben), conversationId);
  expect(after).toMatchObject({ revoked: [], epoch: 2 });
  expect(after.members).toHaveLength(2);
});

test('C6 A group’s admin adds and removes accounts; others do not', async () => {
  const { anna, ben, cleo, leaf, conversationId } = await groupOfThree();
  const dora = await world.addPerson();
  const member = { form: 'member', epoch: 1 } as const;
  const added = [leafOf(first(dora), 9)];
  const byMember = await world.commit(first(ben), conversationId, { ...member, added });
  expect(byMember).toEqual(refused('addition-not-allowed'));
  expect((await world.commit(first(anna), conversationId, { ...member, added })).outcome).toBe(
    'accepted',
  );
  expect((await stateOf(first(dora), conversationId)).members).toHaveLength(4);
  const next = { form: 'member', epoch: 2 } as const;
  const bens = ben.devices.map(leaf);
  const part = await world.commit(first(anna), conversationId, { ...next, removed: [bens[0]!] });
  expect(part).toEqual(refused('account-removed-in-part'));
  const byOther = await world.commit(first(cleo), conversationId, { ...next, removed: bens });
  expect(byOther).toEqual(refused('removal-not-allowed'));
  const whole = await world.commit(first(anna), conversationId, { ...next, removed: bens });
  expect(whole.outcome).toBe('accepted');
  const members = (await stateOf(first(cleo), conversationId)).members.map((one) => one.accountId);
  expect(members).not.toContain(ben.accountId);
  const read = await world.call(getConversation, first(ben), { conversationId });
  expect(read).toEqual({ outcome: 'not-member' });
  expect(await world.send(first(ben), conversationId, { epoch: 3 })).toEqual({
    outcome: 'not-member',
  });
  expect(await lastType(first(ben))).toBe('commit');
});

test('C6 An admin adds nobody who has blocked them, nor a business', async () => {
  const { anna, conversationId } = await groupOfThree();
  const [blocker, firm] = [await world.addPerson(), await world.addBusiness()];
  await world.block(blocker, anna);
  for (const other of [blocker, firm]) {
    const added = [leafOf(first(other), 9)];
    const answer = await world.commit(first(anna), conversationId, {
      form: 'member',
      epoch: 1,
      added,
    });
    expect(answer).toEqual(refused('addition-not-allowed'));
  }
});

test('C7 A refused commit leaves log, roster, GroupInfo and epoch as they were', async () => {
  const { anna, conversationId } = await pair();
  const read = () => world.call(getConversation, first(anna), { conversationId });
  const before = await read();
  const stranger = first(await world.addPerson());
  await world.commit(first(anna), conversationId, {
    form: 'member',
    epoch: 1,
    added: [leafOf(stranger, 4)],
  });
  expect(await read()).toEqual(before);
  const { rows } = await world.database.query(
    'SELECT count(*) AS rows FROM log WHERE bucket = $1 AND conversation_id = $2',
    [bucketOf(conversationId), conversationId],
  );
  expect(rows).toEqual([{ rows: 1 }]);
});

test('C7 A removal closes all older epochs, an addition does not', async () => {
  const { anna, ben, conversationId } = await pair();
  const late = await world.addDevice(anna, 2);
  const leaf = [leafOf(late, 2)];
  await world.commit(first(anna), conversationId, { form: 'member', epoch: 1, added: leaf });
  expect((await world.send(first(ben), conversationId, { epoch: 1 })).outcome).toBe('accepted');
  await world.commit(first(anna), conversationId, { form: 'member', epoch: 2, removed: leaf });
  for (const epoch of [1, 2]) {
    expect(await world.send(first(ben), conversationId, { epoch })).toEqual({
      outcome: 'stale-epoch',
      generation: 0,
      epoch: 3,
    });
  }
  expect((await world.send(first(ben), conversationId, { epoch: 3 })).outcome).toBe('accepted');
});

test('C7 A device revoked while its leaf is being added ends up revoked', async () => {
  const { anna, conversationId } = await pair();
  const late = await world.addDevice(anna, 2);
  const { database } = world;
  // Between looking the device up and storing its leaf.
  const racing = createHotPath({
    ...world.ports,
    database: {
      ...database,
      query: (...parameters) => database.query(...parameters),
      queryNamed: (...parameters) => database.queryNamed(...parameters),
      transaction: async (...parameters) => {
        await world.revoke(late);
        await world.hotPath.duties.revokeLeaves(anna.accountId, [late.deviceId]);
        return database.transaction(...parameters);
      },
    } as Database,
  });
  const route = racing.routes.find(({ endpoint }) => endpoint.name === 'submitCommit');
  const answer = await route!.run(first(anna), {
    conversationId,
    clientId: clientId(),
    generation: 0,
    epoch: 1,
    form: 'member',
    commit: bytes(50),
    welcome: bytes(50),
    groupInfo: bytes(50),
    added: [leafOf(late, 2)],
    removed: [],
  });
  expect(answer.outcome).toBe('accepted');
  expect((await stateOf(first(anna), conversationId)).revoked).toEqual([leafOf(late, 2)]);
  await racing.close();
  expect(await world.mailbox(late)).toEqual([]);
});
