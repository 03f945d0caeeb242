// Every statement of the hot path, those inside its functions too, touches one bucket (design §7). All ids of this story lie
// in one, so a statement that does not name its bucket would be seen in other partitions.

import type { Database, Queryable } from '@siegel/database';
import { type HotStatement, type OneBucketProbe, oneBucketProbe } from '@siegel/database/testing';
import { claimKeyPackages, getConversation, listConversations } from '@siegel/protocol/relay';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createMailboxStore } from '../src/mailbox/mailbox-store.ts';
import {
  createWorld,
  type Device,
  leafOf,
  migrations,
  type TestAccount,
} from './hot-path-world.ts';

const bucket = 613;
const tables = [
  ...['accounts', 'devices', 'key_packages', 'blocks', 'quotas', 'account_conversations'],
  ...['conversations', 'conversation_keys', 'members', 'leaves', 'log', 'meter'],
  ...['mailboxes', 'mailbox_cursors', 'mailbox_items'],
];

let probe: OneBucketProbe;
const checked = new Map<string, number>();
const breaches: string[] = [];

beforeAll(async () => {
  probe = await oneBucketProbe({ migrations, tables });
});
afterAll(() => probe.close());

const first = ({ devices }: TestAccount): Device => devices[0]!;

let checking: Promise<void> = Promise.resolve();

/** One after the other: the probe has one connection, the hot path several. */
function check(statement: HotStatement): Promise<void> {
  checking = checking.then(() => checkNow(statement));
  return checking;
}

async function checkNow(statement: HotStatement): Promise<void> {
  const name = statement.name ?? statement.text;
  checked.set(name, (checked.get(name) ?? 0) + 1);
  await probe.assertOneBucket(statement).catch((problem: unknown) => {
    breaches.push(problem instanceof Error ? problem.message : String(problem));
  });
}

/** Each statement is tried on the state it is about to meet. */
function watched(queries: Queryable, before: (statement: HotStatement) => Promise<void>) {
  return {
    query: async (text: string, parameters: readonly unknown[] = []) => {
      await before({ text, parameters });
      return queries.query(text, parameters);
    },
    queryNamed: async (name: string, text: string, parameters: readonly unknown[]) => {
      await before({ name, text, parameters });
      return queries.queryNamed(name, text, parameters);
    },
  } as Queryable;
}

class Undo extends Error {}

const watch = (database: Database): Database =>
  ({
    ...database,
    ...watched(database, check),
    // A transaction holds its locks: it is run, undone, its statements are tried, and it is run again.
    transaction: async (...[work, options]: Parameters<Database['transaction']>) => {
      const statements: HotStatement[] = [];
      const rehearsal = database.transaction(async (transaction) => {
        await work(watched(transaction, async (statement) => void statements.push(statement)));
        throw new Undo();
      });
      await rehearsal.catch((failure: unknown) => {
        if (!(failure instanceof Undo)) throw failure;
      });
      for (const statement of statements) await check(statement);
      return database.transaction(work, options);
    },
  }) as Database;

test('S9 M1 K4 C7 Every hot statement touches one bucket', async () => {
  const world = await createWorld({ test: probe.test, watch, bucket });
  const { hotPath } = world;
  const [anna, ben, firm] = [
    await world.addPerson(2),
    await world.addPerson(2),
    await world.addBusiness(),
  ];
  // Rows of other buckets, so that a partition too many has something to show.
  const elsewhere = await createWorld({ test: probe.test });
  const far = [await elsewhere.addPerson(), await elsewhere.addPerson()] as const;
  await elsewhere.found(first(far[0]), { kind: 'direct', accountId: far[1].accountId });
  await elsewhere.hotPath.close();

  const pair = await world.found(first(anna), { kind: 'direct', accountId: ben.accountId });
  await world.send(first(anna), pair.conversationId);
  const chat = await world.found(first(anna), {
    kind: 'business',
    phoneNumberId: firm.phoneNumberId,
  });
  await world.send(first(anna), chat.conversationId);
  await world.send(first(firm), chat.conversationId);
  const template = { id: await world.addTemplate(firm), category: 'utility' } as const;
  await world.send(first(firm), chat.conversationId, { kind: 'template', template });
  const team = await world.found(first(anna), { kind: 'group', accounts: [ben.accountId] });
  const cleo = await world.addPerson();
  const { conversationId } = team;
  await world.call(claimKeyPackages, first(anna), {
    conversationId,
    purpose: { kind: 'add-accounts', accounts: [cleo.accountId] },
  });
  const added = [leafOf(first(cleo), 9)];
  await world.commit(first(anna), conversationId, { form: 'member', epoch: 1, added });
  await world.commit(first(anna), conversationId, { form: 'member', epoch: 2, removed: added });
  await world.call(getConversation, first(anna), { conversationId });
  await world.call(listConversations, first(anna), {});
  await hotPath.copier.settled();

  const store = createMailboxStore({ database: world.ports.database, now: () => world.clock.now });
  const device = { accountId: anna.accountId, deviceId: anna.devices[1]!.deviceId };
  await store.facts(device);
  const items = await store.read({ device, after: 0, items: 10 });
  expect(items.length).toBeGreaterThan(3);
  await store.acknowledge({ device, position: items.at(-1)!.position });
  await store.sweep(bucket);
  await world.revoke(ben.devices[1]!);
  await hotPath.duties.revokeLeaves(ben.accountId, [ben.devices[1]!.deviceId]);
  await hotPath.duties.endWindows(anna.accountId);
  await world.send(first(anna), pair.conversationId);
  await hotPath.close();

  expect(world.failures).toEqual([]);
  expect(breaches).toEqual([]);
  const hot = ['accept-batch', 'read-uncopied', 'copy-batch', 'finish-copy', 'read-mailboxes'];
  for (const name of [...hot, 'ack-batch', 'claim-key-packages', 'log-commit', 'add-members']) {
    expect([...checked.keys()]).toContain(name);
  }
}, 180_000);
