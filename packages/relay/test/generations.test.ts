// Founding a conversation's next generation, and how often commits are taken at all (rules G1, G2, S2).

import { bucketOf, type ConversationId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import { getConversation, type RosterLeaf } from '@siegel/protocol/relay';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { commitsPerHour } from '../src/conversations/submit-commit.ts';
import {
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

async function pair(devices = 1) {
  const [anna, ben] = [await world.addPerson(devices), await world.addPerson(devices)];
  return { anna, ben, ...(await world.found(first(anna), direct(ben))) };
}

async function stateOf(member: Device, conversationId: ConversationId) {
  const read = await world.call(getConversation, member, { conversationId });
  if (read.outcome !== 'conversation') throw new Error(read.outcome);
  return read.state;
}

const refused = (reason: string) => ({ outcome: 'roster-refused', reason });
const lastType = async (device: Device) => (await world.mailbox(device)).at(-1)?.type;

test('G1 A member founds the next generation, limited per account, conversation and day', async () => {
  const { anna, ben, conversationId } = await pair();
  const found = async (generation: number, device = first(ben), other = first(anna)) =>
    world.commit(device, conversationId, { generation, added: [leafOf(other, 1)] });
  const conflict = { outcome: 'epoch-conflict', generation: 0, epoch: 1 };
  expect(await found(0)).toEqual(conflict);
  expect(await found(2)).toEqual(conflict);
  const own = limits.generationsPerDayByOne;
  for (let generation = 1; generation <= own; generation += 1) {
    expect(await found(generation)).toMatchObject({ outcome: 'accepted', epoch: 1 });
  }
  expect(await found(own + 1)).toMatchObject({ outcome: 'rate-limited' });
  // Another member still mends the chat.
  expect(await found(own + 1, first(anna), first(ben))).toMatchObject({ outcome: 'accepted' });
  await world.database.query(
    `UPDATE quotas SET used = $1 WHERE owner = $2 AND quota = 'generations'`,
    [limits.generationsPerDay, conversationId],
  );
  const next = own + 2;
  expect(await found(next, first(anna), first(ben))).toMatchObject({ outcome: 'rate-limited' });
  // Refused, it was not taken: nothing but the day changes.
  world.clock.now += 86_400_000;
  expect(await found(next)).toMatchObject({ outcome: 'accepted' });
});

test('G2 A founding commit replaces the roster, and messages of the old one are stale', async () => {
  const { anna, ben, conversationId } = await pair();
  const late = await world.addDevice(anna, 2);
  const added = [leafOf(first(anna), 1), leafOf(late, 2)];
  const answer = await world.commit(first(ben), conversationId, { generation: 1, added });
  expect(answer).toMatchObject({ outcome: 'accepted', epoch: 1 });
  const state = await stateOf(first(anna), conversationId);
  expect(state).toMatchObject({ generation: 1, epoch: 1 });
  expect(state.roster).toEqual([leafOf(first(ben), 0), ...added]);
  expect(await lastType(first(anna))).toBe('welcome');
  expect(await lastType(late)).toBe('welcome');
  expect(await world.send(first(anna), conversationId, { epoch: 1 })).toEqual({
    outcome: 'stale-epoch',
    generation: 1,
    epoch: 1,
  });
  const fresh = { generation: 1, epoch: 1 };
  expect((await world.send(first(anna), conversationId, fresh)).outcome).toBe('accepted');
});

test('G2 A founding commit names every reachable device of every member, and no other', async () => {
  const [anna, ben] = [await world.addPerson(2), await world.addPerson(2)];
  const opened = await world.open(first(anna), direct(ben));
  if (opened.outcome !== 'to-found') throw new Error(opened.outcome);
  const { conversationId } = opened.state;
  const all = [leafOf(second(anna), 1), leafOf(first(ben), 2), leafOf(second(ben), 3)];
  const found = (added: RosterLeaf[], removed: RosterLeaf[] = []) =>
    world.commit(first(anna), conversationId, { added, removed });
  expect(await found(all.slice(1))).toEqual(refused('device-missing'));
  expect(await found(all.slice(0, 2))).toEqual(refused('device-missing'));
  const stranger = leafOf(first(await world.addPerson()), 4);
  expect(await found([...all, stranger])).toEqual(refused('addition-not-allowed'));
  expect(await found(all, [stranger])).toEqual(refused('founding-removes-nobody'));
  const clash = all.map((leaf) => ({ ...leaf, leafIndex: leaf.leafIndex - 1 }));
  expect(await found(clash)).toEqual(refused('leaf-taken'));
  // A device without any key package cannot be added by anybody.
  await world.database.query('DELETE FROM key_packages WHERE account_id = $1 AND device_id = 2', [
    ben.accountId,
  ]);
  expect((await found(all.slice(0, 2))).outcome).toBe('accepted');
});

test('G2 A device the new generation leaves out learns of it', async () => {
  const { anna, ben, conversationId } = await pair(2);
  await world.database.query('DELETE FROM key_packages WHERE account_id = $1 AND device_id = 2', [
    ben.accountId,
  ]);
  const added = [leafOf(second(anna), 1), leafOf(first(ben), 2)];
  await world.commit(first(anna), conversationId, { generation: 1, added });
  expect((await world.mailbox(second(ben))).at(-1)).toMatchObject({
    type: 'commit',
    form: 'founding',
    generation: 1,
  });
});

test('S2 Commits are rate-limited per conversation and account', async () => {
  const { anna, ben, conversationId } = await pair();
  const member = { form: 'member', epoch: 1 } as const;
  await world.database.query(
    'UPDATE quotas SET used = $1 WHERE bucket = $2 AND owner = $3 AND quota = $4',
    [commitsPerHour, bucketOf(conversationId), conversationId, `commits/${anna.accountId}`],
  );
  expect(await world.commit(first(anna), conversationId, member)).toMatchObject({
    outcome: 'rate-limited',
  });
  expect((await world.commit(first(ben), conversationId, member)).outcome).toBe('accepted');
});
