// Opening conversations, reading them and claiming key packages (rules C1 to C4, K2, K4, X2).

import { bucketOf, type ConversationId, type NumericId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import {
  claimKeyPackages,
  getConversation,
  listConversations,
  type OpenWith,
} from '@siegel/protocol/relay';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { claimLimits } from '../src/conversations/claim-packages.ts';
import {
  addKeyPackages,
  bytes,
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

const direct = ({ accountId }: TestAccount) => ({ kind: 'direct', accountId }) as const;
const toFirm = ({ phoneNumberId }: TestAccount) => ({ kind: 'business', phoneNumberId }) as const;
const group = (...members: TestAccount[]) =>
  ({ kind: 'group', accounts: members.map(({ accountId }) => accountId) }) as const;

const undeliverable = { outcome: 'undeliverable' };

async function rowCounts() {
  const { rows } = await world.database.query(
    `SELECT (SELECT count(*) FROM conversations) AS conversations,
       (SELECT count(*) FROM account_conversations) AS noted,
       (SELECT count(*) FROM key_packages) AS packages`,
  );
  return rows[0];
}

test('C1 There is one conversation per pair of persons, in the bucket of the lower id', async () => {
  const [anna, ben] = [await world.addPerson(), await world.addPerson()];
  const opened = await world.open(first(anna), direct(ben));
  if (opened.outcome !== 'to-found') throw new Error(opened.outcome);
  const [lower] = [anna.accountId, ben.accountId].sort();
  expect(bucketOf(opened.state.conversationId)).toBe(bucketOf(lower!));
  expect(opened.state).toMatchObject({ kind: 'direct', generation: 0, epoch: 0, founded: false });
  const other = await world.open(first(ben), direct(anna));
  expect(other).toMatchObject({
    outcome: 'to-found',
    state: { conversationId: opened.state.conversationId },
  });
});

test('C1 There is one per person and business number, in the person’s bucket', async () => {
  const [anna, firm] = [await world.addPerson(), await world.addBusiness()];
  const { conversationId } = await world.found(first(anna), toFirm(firm));
  expect(bucketOf(conversationId)).toBe(bucketOf(anna.accountId));
  const again = await world.open(first(anna), toFirm(firm));
  expect(again).toMatchObject({
    outcome: 'exists',
    state: { conversationId, phoneNumberId: firm.phoneNumberId, kind: 'business' },
  });
  const id = await world.addTemplate(firm);
  const fromFirm = await world.open(first(firm), {
    kind: 'person',
    from: firm.phoneNumberId,
    to: { number: anna.number as never },
    template: { id, category: 'utility' },
  });
  expect(fromFirm).toMatchObject({ outcome: 'exists', state: { conversationId } });
});

test('C1 There is one own conversation per account, for persons and firms', async () => {
  for (const account of [await world.addPerson(2), await world.addBusiness(2)]) {
    const { conversationId, leaves } = await world.found(first(account), { kind: 'own' });
    expect(leaves).toHaveLength(2);
    expect(bucketOf(conversationId)).toBe(bucketOf(account.accountId));
    const again = await world.open(account.devices[1]!, { kind: 'own' });
    expect(again).toMatchObject({ outcome: 'exists', state: { conversationId } });
  }
});

test('C1 Many who open at once get one conversation', async () => {
  const [anna, ben] = [await world.addPerson(2), await world.addPerson(2)];
  const opened = await Promise.all(
    [...anna.devices, ...ben.devices].map((device) =>
      world.open(device, direct(device.accountId === anna.accountId ? ben : anna)),
    ),
  );
  const ids = opened.map((one) => ('state' in one ? one.state.conversationId : one.outcome));
  expect(new Set(ids).size).toBe(1);
});

test('C1 Each opening of a group is another one; the opener is its admin', async () => {
  const [anna, ben] = [await world.addPerson(), await world.addPerson()];
  const [one, two] = [
    await world.found(first(anna), group(ben)),
    await world.found(first(anna), group(ben)),
  ];
  expect(one.conversationId).not.toBe(two.conversationId);
  const read = await world.call(getConversation, first(ben), one);
  if (read.outcome !== 'conversation') throw new Error(read.outcome);
  const roles = read.state.members.map(({ accountId, role }) => [accountId, role]);
  expect(new Map(roles as [string, string][])).toEqual(
    new Map([
      [anna.accountId, 'admin'],
      [ben.accountId, 'member'],
    ]),
  );
});

test('C1 An unfounded conversation can be opened and founded by either side', async () => {
  const [anna, ben] = [await world.addPerson(), await world.addPerson()];
  await world.open(first(anna), direct(ben));
  const { conversationId } = await world.found(first(ben), direct(anna));
  const late = await world.commit(first(anna), conversationId, { added: [leafOf(first(ben), 1)] });
  expect(late).toEqual({ outcome: 'epoch-conflict', generation: 0, epoch: 1 });
  expect((await world.open(first(anna), direct(ben))).outcome).toBe('exists');
});

test('C2 A business opens with an open window or an approved template only', async () => {
  const [anna, firm] = [await world.addPerson(), await world.addBusiness()];
  const opening = { kind: 'person', from: firm.phoneNumberId, to: anna } as const;
  const to = { accountId: anna.accountId };
  const before = await rowCounts();
  const open = async (template?: { id: NumericId; category: 'utility' | 'marketing' }) =>
    world.open(first(firm), { ...opening, to, ...(template ? { template } : {}) });
  expect(await open()).toEqual({ outcome: 'window-closed' });
  const refused = (reason: string) => ({ outcome: 'template-refused', reason });
  expect(await open({ id: '4999998' as never, category: 'utility' })).toEqual(refused('unknown'));
  for (const [status, reason] of [
    ['pending', 'not-approved'],
    ['paused', 'paused'],
    ['disabled', 'disabled'],
    ['deleted', 'unknown'],
  ] as const) {
    const id = await world.addTemplate(firm, { status });
    expect(await open({ id, category: 'utility' })).toEqual(refused(reason));
  }
  const id = await world.addTemplate(firm);
  expect(await open({ id, category: 'marketing' })).toEqual(refused('wrong-category'));
  const stranger = await world.addTemplate(await world.addBusiness());
  expect(await open({ id: stranger, category: 'utility' })).toEqual(refused('unknown'));
  const { packages } = before as { packages: number };
  expect(await rowCounts()).toEqual({ ...before, packages: packages + 3 });
  expect(await open({ id, category: 'utility' })).toMatchObject({ outcome: 'to-found' });
  // The person's own message opens the window for a business that has lost everything.
  const { conversationId } = await world.found(first(anna), toFirm(firm));
  await world.send(first(anna), conversationId);
  expect(await open()).toMatchObject({ outcome: 'exists', state: { conversationId } });
});

test('C2 K4 The quota of conversations a day is kept, and what exists costs nothing', async () => {
  const [anna, ben] = [await world.addPerson(), await world.addPerson()];
  await world.found(first(anna), direct(ben));
  await world.database.query(
    `UPDATE quotas SET used = $1 WHERE owner = $2 AND quota = 'conversations'`,
    [limits.conversationsPerDay.person, anna.accountId],
  );
  const cleo = await world.addPerson();
  const before = await rowCounts();
  const refused = await world.open(first(anna), direct(cleo));
  expect(refused).toMatchObject({ outcome: 'quota-reached' });
  expect(await rowCounts()).toEqual(before);
  expect((await world.open(first(anna), direct(ben))).outcome).toBe('exists');
  world.clock.now += 86_400_000;
  expect((await world.open(first(anna), direct(cleo))).outcome).toBe('to-found');
});

test('C3 X2 Unknown, blocked, device-less and of another kind are answered alike', async () => {
  const [anna, firm] = [await world.addPerson(), await world.addBusiness()];
  const [blocker, deviceLess, emptied] = [
    await world.addPerson(),
    await world.addPerson(),
    await world.addPerson(),
  ];
  const blocking = await world.addBusiness();
  await world.block(blocker, anna);
  await world.block(blocker, firm);
  await world.block(blocking, anna);
  await world.revoke(first(deviceLess));
  await world.database.query('DELETE FROM key_packages WHERE account_id = $1', [emptied.accountId]);
  const nobody = { ...blocker, accountId: '12345678-0000-4000-8000-000000000000' as never };
  const template = { id: await world.addTemplate(firm), category: 'utility' } as const;
  const before = await rowCounts();
  for (const target of [nobody, blocker, deviceLess, emptied, firm, anna]) {
    expect(await world.open(first(anna), direct(target))).toEqual(undeliverable);
  }
  for (const target of [{ phoneNumberId: '987654321' as never }, blocking, blocker]) {
    expect(await world.open(first(anna), toFirm(target as TestAccount))).toEqual(undeliverable);
  }
  for (const target of [nobody, blocker, deviceLess, emptied, blocking]) {
    const to = { accountId: target.accountId };
    const opening = { kind: 'person', from: firm.phoneNumberId, to, template } as const;
    expect(await world.open(first(firm), opening)).toEqual(undeliverable);
  }
  for (const number of ['+49309999999', blocker.number]) {
    const to = { number: number as never };
    const opening = { kind: 'person', from: firm.phoneNumberId, to, template } as const;
    expect(await world.open(first(firm), opening)).toEqual(undeliverable);
  }
  expect(await rowCounts()).toEqual(before);
});

test('C3 Without a template that may be sent a firm learns nothing of a number', async () => {
  const [firm, reached, blocker] = [
    await world.addBusiness(),
    await world.addPerson(),
    await world.addPerson(),
  ];
  await world.block(blocker, firm);
  const paused = await world.addTemplate(firm, { status: 'paused' });
  const numbers = [reached.number, blocker.number, '+49309999998'];
  const ask = (number: string, template?: { id: NumericId; category: 'utility' }) =>
    world.open(first(firm), {
      ...{ kind: 'person', from: firm.phoneNumberId, to: { number: number as never } },
      ...(template ? { template } : {}),
    } as OpenWith);
  for (const number of numbers) {
    expect(await ask(number)).toEqual({ outcome: 'window-closed' });
    const refused = { outcome: 'template-refused', reason: 'paused' };
    expect(await ask(number, { id: paused, category: 'utility' })).toEqual(refused);
  }
});

test('C3 One who cannot be reached makes a whole group undeliverable, and nothing is claimed', async () => {
  const [anna, ben, blocker] = [
    await world.addPerson(),
    await world.addPerson(),
    await world.addPerson(),
  ];
  await world.block(blocker, anna);
  const before = await rowCounts();
  expect(await world.open(first(anna), group(ben, blocker))).toEqual(undeliverable);
  expect(await world.open(first(anna), group(ben, await world.addBusiness()))).toEqual(
    undeliverable,
  );
  const { packages } = before as { packages: number };
  expect(await rowCounts()).toEqual({ ...before, packages: packages + 3 });
});

test('X2 Whom one has blocked oneself is not opened either', async () => {
  const [anna, ben] = [await world.addPerson(), await world.addPerson()];
  await world.block(anna, ben);
  expect(await world.open(first(anna), direct(ben))).toEqual(undeliverable);
});

test('X2 A block does not show in a conversation that exists', async () => {
  const [anna, ben] = [await world.addPerson(), await world.addPerson()];
  await world.found(first(anna), direct(ben));
  await world.block(ben, anna);
  expect((await world.open(first(anna), direct(ben))).outcome).toBe('exists');
  const firm = await world.addBusiness();
  await world.found(first(anna), toFirm(firm));
  await world.block(anna, firm);
  const to = { accountId: anna.accountId };
  const template = { id: await world.addTemplate(firm), category: 'utility' } as const;
  const opening = { kind: 'person', from: firm.phoneNumberId, to, template } as const;
  expect(await world.open(first(firm), opening)).toEqual(undeliverable);
});

test('H1 A business writes from its own numbers only, and a person from none', async () => {
  const [anna, firm, other] = [
    await world.addPerson(),
    await world.addBusiness(),
    await world.addBusiness(),
  ];
  const to = { accountId: anna.accountId };
  for (const caller of [first(other), first(anna)]) {
    const opening = world.open(caller, { kind: 'person', from: firm.phoneNumberId, to });
    await expect(opening).rejects.toMatchObject({ code: 'forbidden' });
  }
});

test('K4 Opening claims one package of each other device, the caller’s own other ones too', async () => {
  const [anna, ben] = [await world.addPerson(2), await world.addPerson(2)];
  const opened = await world.open(first(anna), direct(ben));
  if (opened.outcome !== 'to-found') throw new Error(opened.outcome);
  const claimed = opened.members.flatMap(({ accountId, deviceList, keyPackages }) => {
    expect(deviceList).toBe(`list.of.${accountId}`);
    return keyPackages.map(({ deviceId }) => `${accountId}/${deviceId}`);
  });
  const expected = [anna.devices[1]!, ...ben.devices].map(
    ({ accountId, deviceId }) => `${accountId}/${deviceId}`,
  );
  expect(claimed.sort()).toEqual(expected.sort());
  expect(await world.packagesLeft(first(anna))).toBe(2);
  expect(await world.packagesLeft(anna.devices[1]!)).toBe(1);
  expect(await world.packagesLeft(ben.devices[1]!)).toBe(1);
});

test('K2 A one-time package is claimed once, the last resort many times', async () => {
  const ben = await world.addPerson();
  await addKeyPackages(world.database, first(ben), {
    oneTime: 20,
    lastResort: false,
    expiresAt: world.clock.now + 1,
  });
  const claimers = await Promise.all(Array.from({ length: 30 }, () => world.addPerson()));
  const opened = await Promise.all(
    claimers.map((claimer) => world.open(first(claimer), direct(ben))),
  );
  const packages = opened.flatMap((one) =>
    one.outcome === 'to-found' ? one.members.flatMap(({ keyPackages }) => keyPackages) : [],
  );
  const oneTime = packages.filter(({ lastResort }) => !lastResort);
  expect(packages).toHaveLength(30);
  expect(oneTime).toHaveLength(22);
  expect(new Set(oneTime.map(({ keyPackage }) => keyPackage)).size).toBe(22);
  expect(await world.packagesLeft(first(ben), true)).toBe(1);
});

test('K2 An expired package is not handed out', async () => {
  const [anna, ben] = [await world.addPerson(), await world.addPerson()];
  await world.database.query('UPDATE key_packages SET expires_at = $1 WHERE account_id = $2', [
    world.clock.now,
    ben.accountId,
  ]);
  expect(await world.open(first(anna), direct(ben))).toEqual(undeliverable);
});

test('K4 Claims are limited per claimer and target', async () => {
  const [anna, ben] = [await world.addPerson(), await world.addPerson()];
  const outcomes = [];
  for (let tried = 0; tried <= claimLimits.byPairPerHour; tried += 1) {
    outcomes.push((await world.open(first(anna), direct(ben))).outcome);
  }
  expect(outcomes.pop()).toBe('rate-limited');
  expect(new Set(outcomes)).toEqual(new Set(['to-found']));
  // Somebody else still may, and so may she an hour later.
  const cleo = await world.addPerson();
  expect((await world.open(first(cleo), direct(ben))).outcome).toBe('to-found');
  world.clock.now += 3_600_000;
  expect((await world.open(first(anna), direct(ben))).outcome).toBe('to-found');
});

test('K4 Who is claimed from too often gives its last-resort package', async () => {
  const [anna, ben] = [await world.addPerson(), await world.addPerson()];
  await world.open(first(anna), direct(ben));
  await world.database.query(`UPDATE quotas SET used = $1 WHERE owner = $2 AND quota = 'claimed'`, [
    claimLimits.oneTimePerHour,
    ben.accountId,
  ]);
  const opened = await world.open(first(anna), direct(ben));
  if (opened.outcome !== 'to-found') throw new Error(opened.outcome);
  const packages = opened.members.flatMap(({ keyPackages }) => keyPackages);
  expect(packages.map(({ lastResort }) => lastResort)).toEqual([true]);
  expect(await world.packagesLeft(first(ben))).toBe(1);
});

test('K4 Key packages are claimed for own devices and for accounts an admin adds', async () => {
  const [anna, ben, cleo] = [
    await world.addPerson(),
    await world.addPerson(),
    await world.addPerson(),
  ];
  const { conversationId } = await world.found(first(anna), group(ben));
  const claim = (caller: Device, purpose: object) =>
    world.call(claimKeyPackages, caller, { conversationId, purpose: purpose as never });
  const late = await world.addDevice(anna, 2);
  expect(await claim(first(anna), { kind: 'own-devices' })).toMatchObject({
    outcome: 'claimed',
    members: [{ accountId: anna.accountId, keyPackages: [{ deviceId: late.deviceId }] }],
  });
  const adding = { kind: 'add-accounts', accounts: [cleo.accountId] };
  expect(await claim(first(ben), adding)).toEqual(undeliverable);
  expect(await claim(first(cleo), adding)).toEqual({ outcome: 'not-member' });
  expect(await claim(first(anna), adding)).toMatchObject({
    outcome: 'claimed',
    members: [{ accountId: cleo.accountId, keyPackages: [{ deviceId: 1 }] }],
  });
  const already = { kind: 'add-accounts', accounts: [ben.accountId] };
  expect(await claim(first(anna), already)).toEqual(undeliverable);
  const blocker = await world.addPerson();
  await world.block(blocker, anna);
  const blocked = { kind: 'add-accounts', accounts: [blocker.accountId] };
  expect(await claim(first(anna), blocked)).toEqual(undeliverable);
});

test('K4 G1 For the next generation every member is claimed from, for no other one', async () => {
  const [anna, firm] = [await world.addPerson(2), await world.addBusiness()];
  const { conversationId } = await world.found(first(anna), toFirm(firm));
  const claim = (caller: Device, generation: number) =>
    world.call(claimKeyPackages, caller, {
      conversationId,
      purpose: { kind: 'next-generation', generation },
    });
  for (const generation of [0, 2]) {
    expect(await claim(first(anna), generation)).toEqual({
      outcome: 'epoch-conflict',
      generation: 0,
      epoch: 1,
    });
  }
  const claimed = await claim(first(firm), 1);
  if (claimed.outcome !== 'claimed') throw new Error(claimed.outcome);
  const devices = claimed.members.flatMap(({ keyPackages }) => keyPackages);
  expect(devices).toHaveLength(2);
  await world.block(anna, firm);
  expect(await claim(first(firm), 1)).toEqual(undeliverable);
});

test('C4 Members read state, roster, GroupInfo and device lists; others see nothing', async () => {
  const [anna, ben] = [await world.addPerson(), await world.addPerson()];
  const opened = await world.open(first(anna), direct(ben));
  if (opened.outcome !== 'to-found') throw new Error(opened.outcome);
  const { conversationId } = opened.state;
  const groupInfo = bytes(900);
  const added = [leafOf(first(ben), 1)];
  await world.commit(first(anna), conversationId, { groupInfo, added });
  for (const member of [anna, ben]) {
    const read = await world.call(getConversation, first(member), { conversationId });
    if (read.outcome !== 'conversation') throw new Error(read.outcome);
    expect(read.groupInfo).toBe(groupInfo);
    expect(read.deviceLists.sort()).toEqual(
      [anna, ben].map(({ accountId }) => `list.of.${accountId}`).sort(),
    );
    expect(read.state).toMatchObject({ founded: true, generation: 0, epoch: 1, revoked: [] });
    expect(read.state.roster).toEqual([leafOf(first(anna), 0), leafOf(first(ben), 1)]);
    expect(read.state.members.map(({ deviceListVersion }) => deviceListVersion)).toEqual([1, 1]);
  }
  const stranger = await world.addPerson();
  for (const id of [conversationId, '00000000-0000-4000-8000-000000000000' as ConversationId]) {
    const read = await world.call(getConversation, first(stranger), { conversationId: id });
    expect(read).toEqual({ outcome: 'not-member' });
  }
});

test('C4 A new device finds the founded conversations of its account, page by page', async () => {
  const anna = await world.addPerson();
  const founded = [];
  for (let made = 0; made < 5; made += 1) {
    const other = await world.addPerson();
    founded.push((await world.found(first(anna), direct(other))).conversationId);
  }
  // Never founded, so never listed.
  await world.open(first(anna), direct(await world.addPerson()));
  const listed: string[] = [];
  let more = true;
  while (more) {
    const after = listed.at(-1) as ConversationId | undefined;
    const page = await world.call(listConversations, first(anna), {
      limit: 2,
      ...(after ? { after } : {}),
    });
    if (page.outcome !== 'page') throw new Error(page.outcome);
    expect(page.conversations.length).toBeLessThanOrEqual(2);
    listed.push(...page.conversations.map(({ conversationId }) => conversationId));
    more = page.more;
  }
  expect(listed).toEqual(founded.sort());
});
