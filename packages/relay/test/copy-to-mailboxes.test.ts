// From the log into mailboxes: after a crash, with two relays at work, and repeated at any point, every device has every
// item once and in the order of the conversation (rules M1, S9).

import { bucketOf, type ConversationId } from '@siegel/protocol/ids';
import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { copyConversations, createMailboxCopier } from '../src/mailbox/copy-to-mailboxes.ts';
import { createMailboxStore } from '../src/mailbox/mailbox-store.ts';
import { createWakeups } from '../src/mailbox/wakeups.ts';
import { acceptBatch, type Submission } from '../src/messages/accept-messages.ts';
import {
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
  world.clock.now += 3_600_000;
});

const first = ({ devices }: TestAccount): Device => devices[0]!;

async function chat(devices = 1) {
  const [anna, ben] = [await world.addPerson(), await world.addPerson(devices)];
  const { conversationId } = await world.found(first(anna), {
    kind: 'direct',
    accountId: ben.accountId,
  });
  await world.hotPath.copier.settled();
  return { anna, ben, conversationId };
}

/** Accepted by a process that ended before it copied anything. */
async function acceptOnly(sender: Device, conversationId: ConversationId, count: number) {
  const batch = Array.from(
    { length: count },
    (): Submission => ({
      conversationId,
      sender: { accountId: sender.accountId, deviceId: sender.deviceId },
      clientId: clientId(),
      generation: 0,
      epoch: 1,
      kind: 'free-form',
      acceptedAt: world.clock.now,
      expiresAt: world.clock.now + 1_000_000,
      item: '{"type":"message"}',
    }),
  );
  const decisions = await acceptBatch(world.database, batch);
  expect(decisions.map(({ outcome }) => outcome)).toEqual(batch.map(() => 'accepted'));
}

const sequencesOf = async (device: Device) =>
  (await world.mailbox(device)).map(({ sequence }) => sequence);
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);
const uncopied = async (conversationId: ConversationId) =>
  (
    await world.database.query(
      `SELECT sequence FROM log WHERE bucket = $1 AND conversation_id = $2
         AND (NOT copied OR item IS NOT NULL OR welcome_item IS NOT NULL)`,
      [bucketOf(conversationId), conversationId],
    )
  ).rows;

const quiet = () => ({
  database: world.database,
  now: () => world.clock.now,
  wakeups: createWakeups(),
  isAbsent: () => false,
  failed: (failure: unknown) => world.failures.push(failure),
});

test('S9 M1 What a crash left between accept and mailbox is copied by the next process', async () => {
  const { anna, ben, conversationId } = await chat(2);
  await acceptOnly(first(anna), conversationId, 5);
  expect(await sequencesOf(first(ben))).toEqual([1]);
  const copier = createMailboxCopier(quiet());
  expect(await copier.recover(world.clock.now)).toBe(0);
  expect(await copier.recover(world.clock.now + 1)).toBe(1);
  await copier.settled();
  for (const device of ben.devices) expect(await sequencesOf(device)).toEqual(upTo(6));
  expect(await uncopied(conversationId)).toEqual([]);
  expect(await copier.recover(world.clock.now + 1)).toBe(0);
});

test('M1 A later message does not overtake what a crash left behind', async () => {
  const { anna, ben, conversationId } = await chat();
  await acceptOnly(first(anna), conversationId, 3);
  await world.send(first(ben), conversationId);
  await world.send(first(anna), conversationId);
  expect(await sequencesOf(first(ben))).toEqual([1, 2, 3, 4, 6]);
  expect(await sequencesOf(first(anna))).toEqual([5]);
});

test('M1 A crash in the middle of copying gives no device anything twice', async () => {
  const { anna, ben, conversationId } = await chat(2);
  await acceptOnly(first(anna), conversationId, 4);
  const broken = {
    ...quiet(),
    database: {
      ...world.database,
      queryNamed: (name: string, text: string, parameters: readonly unknown[]) => {
        if (name === 'finish-copy') throw new Error('killed here');
        return world.database.queryNamed(name, text, parameters);
      },
    } as never,
  };
  await expect(copyConversations(broken, [conversationId])).rejects.toThrow('killed here');
  expect(await sequencesOf(first(ben))).toEqual(upTo(5));
  await acceptOnly(first(anna), conversationId, 2);
  await copyConversations(quiet(), [conversationId]);
  for (const device of ben.devices) expect(await sequencesOf(device)).toEqual(upTo(7));
});

test('M1 More than one reading holds is copied to the end', async () => {
  const { anna, ben, conversationId } = await chat();
  for (let made = 0; made < 4; made += 1) await acceptOnly(first(anna), conversationId, 60);
  const copier = createMailboxCopier(quiet());
  copier.touch([conversationId]);
  await copier.settled();
  expect(await sequencesOf(first(ben))).toEqual(upTo(241));
});

test('M1 When the store cannot be reached copying is tried again', async () => {
  const { anna, ben, conversationId } = await chat();
  await acceptOnly(first(anna), conversationId, 1);
  let failing = 2;
  const failures: unknown[] = [];
  const copier = createMailboxCopier({
    ...quiet(),
    failed: (failure) => failures.push(failure),
    settings: { retryMs: 1 },
    database: {
      ...world.database,
      queryNamed: (name: string, text: string, parameters: readonly unknown[]) => {
        failing -= 1;
        if (failing >= 0) throw new Error('unreachable');
        return world.database.queryNamed(name, text, parameters);
      },
    } as never,
  });
  copier.touch([conversationId]);
  await copier.settled();
  expect(failures).toHaveLength(2);
  expect(await sequencesOf(first(ben))).toEqual([1, 2]);
});

test('D3 What was accepted before a revocation and not yet copied is not given to the device', async () => {
  const { anna, ben, conversationId } = await chat(2);
  const [kept, lost] = ben.devices as [Device, Device];
  await acceptOnly(first(anna), conversationId, 2);
  await world.revoke(lost);
  await world.hotPath.duties.revokeLeaves(ben.accountId, [lost.deviceId]);
  await copyConversations(quiet(), [conversationId]);
  expect(await sequencesOf(kept)).toEqual([1, 2, 3]);
  expect(await sequencesOf(lost)).toEqual([]);
});

test('D3 Copying and revoking at once never leaves a mailbox behind', async () => {
  for (let round = 0; round < 8; round += 1) {
    const { anna, ben, conversationId } = await chat(2);
    const lost = ben.devices[1]!;
    const store = createMailboxStore({ database: world.database, now: () => world.clock.now });
    await store.removeMailboxes(ben.accountId, [lost.deviceId]);
    await acceptOnly(first(anna), conversationId, 3);
    const copying = copyConversations(quiet(), [conversationId]);
    await world.revoke(lost);
    await store.removeMailboxes(ben.accountId, [lost.deviceId]);
    await copying;
    expect(await sequencesOf(lost)).toEqual([]);
    expect(await sequencesOf(first(ben))).toEqual(upTo(4));
  }
});

test('M1 However two relays copy at once, each device has each item once and in order', async () => {
  const step = fc.oneof(
    fc.record({
      do: fc.constant('accept' as const),
      from: fc.nat(1),
      count: fc.integer({ min: 1, max: 4 }),
    }),
    fc.record({ do: fc.constant('copy' as const), both: fc.boolean() }),
    fc.record({ do: fc.constant('copy-unawaited' as const) }),
    fc.record({ do: fc.constant('half' as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      const { anna, ben, conversationId } = await chat(2);
      const senders = [first(anna), first(ben)];
      const expected = new Map<Device, number[]>(
        [first(anna), ...ben.devices].map((device) => [device, device === first(anna) ? [] : [1]]),
      );
      let sequence = 1;
      const running: Promise<unknown>[] = [];
      const copy = () => copyConversations(quiet(), [conversationId]);
      for (const one of steps) {
        if (one.do === 'accept') {
          const sender = senders[one.from]!;
          await acceptOnly(sender, conversationId, one.count);
          for (let made = 0; made < one.count; made += 1) {
            sequence += 1;
            for (const [device, seen] of expected) if (device !== sender) seen.push(sequence);
          }
        } else if (one.do === 'copy') {
          await Promise.all(one.both ? [copy(), copy()] : [copy()]);
        } else if (one.do === 'copy-unawaited') {
          running.push(copy());
        } else {
          const halfway = { ...quiet(), database: withoutFinish() };
          running.push(copyConversations(halfway, [conversationId]).catch(() => {}));
        }
      }
      await Promise.all(running);
      await copy();
      for (const [device, seen] of expected) expect(await sequencesOf(device)).toEqual(seen);
      expect(await uncopied(conversationId)).toEqual([]);
    }),
    { numRuns: 25 },
  );
});

const withoutFinish = () =>
  ({
    ...world.database,
    queryNamed: async (name: string, text: string, parameters: readonly unknown[]) => {
      if (name === 'finish-copy') throw new Error('killed here');
      return world.database.queryNamed(name, text, parameters);
    },
  }) as never;

test('M1 A commit and its Welcome keep their place among the messages', async () => {
  const { anna, ben, conversationId } = await chat();
  await acceptOnly(first(anna), conversationId, 2);
  const late = await world.addDevice(ben, 2);
  const added = [leafOf(late, 2)];
  await world.commit(first(ben), conversationId, { form: 'member', epoch: 1, added });
  await world.send(first(anna), conversationId, { epoch: 2 });
  const seen = async (device: Device) =>
    (await world.mailbox(device)).map(({ type, sequence }) => [type, sequence]);
  expect(await seen(first(ben))).toEqual([
    ['welcome', 1],
    ['message', 2],
    ['message', 3],
    ['message', 5],
  ]);
  expect(await seen(late)).toEqual([
    ['welcome', 4],
    ['message', 5],
  ]);
  expect(await seen(first(anna))).toEqual([['commit', 4]]);
});

test('S3 M2 A sweep forgets client ids after 30 days and typing after one, never what is uncopied', async () => {
  const { anna, ben, conversationId } = await chat();
  const typing = { class: 'control', kind: 'typing' } as const;
  await world.send(first(anna), conversationId, typing);
  await world.send(first(anna), conversationId);
  await world.hotPath.copier.settled();
  const store = createMailboxStore({ database: world.database, now: () => world.clock.now });
  const left = async () => {
    await store.sweep(bucketOf(conversationId));
    const { rows } = await world.database.query<{ sequence: number }>(
      'SELECT sequence FROM log WHERE bucket = $1 AND conversation_id = $2 ORDER BY sequence',
      [bucketOf(conversationId), conversationId],
    );
    return rows.map(({ sequence }) => sequence);
  };
  expect(await left()).toEqual([1, 2, 3]);
  world.clock.now += 86_400_000 + 30_000;
  expect(await left()).toEqual([1, 3]);
  await acceptOnly(first(ben), conversationId, 1);
  world.clock.now += 30 * 86_400_000;
  expect(await left()).toEqual([4]);
});
