// Submitting: every step of the relay's decision, in its order (rules S1 to S9, X2, D4).

import { verifyRelayTag } from '@siegel/crypto/verify';
import { bucketOf, type ConversationId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
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
  world.clock.now += 3_600_000;
});

const first = ({ devices }: TestAccount): Device => devices[0]!;
const second = ({ devices }: TestAccount): Device => devices[1]!;

async function directChat(devices = 1) {
  const anna = await world.addPerson();
  const ben = await world.addPerson(devices);
  const { conversationId, leaves } = await world.found(first(anna), {
    kind: 'direct',
    accountId: ben.accountId,
  });
  return { anna, ben, conversationId, leaves };
}

/** A person wrote first and founded; the window is closed until the person sends something. */
async function businessChat() {
  const person = await world.addPerson();
  const firm = await world.addBusiness();
  const { conversationId } = await world.found(first(person), {
    kind: 'business',
    phoneNumberId: firm.phoneNumberId,
  });
  return { person, firm, conversationId };
}

const logOf = async (conversationId: ConversationId) =>
  (
    await world.database.query<{ sequence: number; client_id: string }>(
      'SELECT sequence, client_id FROM log WHERE bucket = $1 AND conversation_id = $2 ORDER BY 1',
      [bucketOf(conversationId), conversationId],
    )
  ).rows;

const meterOf = async (conversationId: ConversationId) =>
  (
    await world.database.query(
      `SELECT sequence, category, template_id, in_window, delivered_at FROM meter
       WHERE bucket = $1 AND conversation_id = $2 ORDER BY 1`,
      [bucketOf(conversationId), conversationId],
    )
  ).rows;

test('S9 An accepted message has the next sequence and reaches every other device', async () => {
  const { anna, ben, conversationId } = await directChat(2);
  const answer = await world.send(first(anna), conversationId);
  expect(answer).toEqual({
    outcome: 'accepted',
    sequence: 2,
    acceptedAt: world.clock.now,
    duplicate: false,
  });
  for (const device of ben.devices) {
    const items = await world.mailbox(device);
    expect(items.map(({ type, sequence }) => [type, sequence])).toEqual([
      ['welcome', 1],
      ['message', 2],
    ]);
  }
  expect(await world.mailbox(first(anna))).toEqual([]);
});

test('S9 What is delivered is what was sent, with the relay’s tag over it', async () => {
  const { anna, ben, conversationId } = await directChat();
  const sent = { clientId: clientId(), commitment: bytes(32), mls: bytes(700) };
  await world.send(first(anna), conversationId, sent);
  const item = (await world.mailbox(first(ben))).at(-1)!;
  expect(item).toMatchObject({ ...sent, class: 'message', kind: 'free-form', epoch: 1 });
  if (item.type !== 'message') throw new Error('not a message');
  expect(verifyRelayTag(item, item.tag, [world.ports.tagKey])).toBe(true);
  expect(verifyRelayTag({ ...item, acceptedAt: 1 }, item.tag, [world.ports.tagKey])).toBe(false);
});

test('S2 A header that contradicts itself is refused and nothing is stored', async () => {
  const { anna, conversationId } = await directChat();
  const wrong = [
    { class: 'control', kind: 'free-form' },
    { class: 'message', kind: 'receipt' },
    { kind: 'template' },
    { template: { id: '5' as never, category: 'utility' } },
    { class: 'control', kind: 'commit' },
  ] as const;
  for (const header of wrong) {
    const sending = world.send(first(anna), conversationId, header);
    await expect(sending).rejects.toMatchObject({ code: 'request-invalid' });
  }
  expect(await logOf(conversationId)).toHaveLength(1);
});

test('S2 Control is free but rate-limited per conversation and sender', async () => {
  const { anna, ben, conversationId } = await directChat();
  const receipt = { class: 'control', kind: 'receipt' } as const;
  let refused: unknown;
  for (let sent = 0; sent < 300 && refused === undefined; sent += 1) {
    const answer = await world.send(first(anna), conversationId, receipt);
    if (answer.outcome !== 'accepted') refused = answer;
  }
  expect(refused).toMatchObject({ outcome: 'rate-limited', retryAfterSeconds: 1 });
  expect(await world.send(first(ben), conversationId, receipt)).toMatchObject({
    outcome: 'accepted',
  });
  expect(await world.send(first(anna), conversationId)).toMatchObject({ outcome: 'accepted' });
});

test('S3 A client id accepted before answers as it did then, once in the log', async () => {
  const { anna, ben, conversationId } = await directChat();
  const once = { clientId: clientId() };
  const accepted = await world.send(first(anna), conversationId, once);
  world.clock.now += 5000;
  const again = await world.send(first(anna), conversationId, { ...once, epoch: 40 });
  expect(again).toEqual({ ...accepted, duplicate: true });
  const [one, two] = await Promise.all([
    world.send(first(anna), conversationId, once),
    world.send(first(anna), conversationId, once),
  ]);
  expect([one, two]).toEqual([again, again]);
  expect(await logOf(conversationId)).toHaveLength(2);
  expect(await world.mailbox(first(ben))).toHaveLength(2);
});

test('S3 Two copies of a client id in one batch are accepted once', async () => {
  const { anna, conversationId } = await directChat();
  const once = { clientId: clientId() };
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => world.send(first(anna), conversationId, once)),
  );
  const fresh = answers.filter((answer) => answer.outcome === 'accepted' && !answer.duplicate);
  expect(fresh).toHaveLength(1);
  expect(await logOf(conversationId)).toHaveLength(2);
});

test('S3 A refusal is not remembered, and another sender may use the same client id', async () => {
  const { anna, ben, conversationId } = await directChat();
  const once = { clientId: clientId() };
  const refused = await world.send(first(anna), conversationId, { ...once, epoch: 9 });
  expect(refused.outcome).toBe('stale-epoch');
  expect(await world.send(first(anna), conversationId, once)).toMatchObject({ duplicate: false });
  expect(await world.send(first(ben), conversationId, once)).toMatchObject({ duplicate: false });
});

test('S1 A revoked device is refused, even while its token is still remembered somewhere', async () => {
  const { anna, ben, conversationId } = await directChat(2);
  const lost = second(ben);
  await world.revoke(lost);
  await world.hotPath.duties.revokeLeaves(ben.accountId, [lost.deviceId]);
  expect(await world.send(lost, conversationId)).toEqual({ outcome: 'not-member' });
  const commit = { form: 'member', epoch: 1 } as const;
  expect(await world.commit(lost, conversationId, commit)).toMatchObject({
    outcome: 'roster-refused',
  });
  expect(await world.mailbox(first(anna))).toEqual([]);
});

test('S4 Who is not in the roster is answered as if there were no conversation', async () => {
  const { conversationId } = await directChat();
  const stranger = await world.addPerson();
  expect(await world.send(first(stranger), conversationId)).toEqual({ outcome: 'not-member' });
  const unknown = '00000000-0000-4000-8000-000000000000' as ConversationId;
  expect(await world.send(first(stranger), unknown)).toEqual({ outcome: 'not-member' });
});

test('S4 A device of a member that is no leaf yet is not a member', async () => {
  const { anna, conversationId } = await directChat();
  const late = await world.addDevice(anna, 2);
  expect(await world.send(late, conversationId)).toEqual({ outcome: 'not-member' });
});

test('S4 The epoch is one of the last three, in the current generation', async () => {
  const { anna, ben, conversationId } = await directChat();
  for (const epoch of [1, 2, 3]) {
    const next = await world.commit(first(anna), conversationId, { form: 'member', epoch });
    expect(next.outcome).toBe('accepted');
  }
  const answers = [];
  for (const epoch of [0, 1, 2, 3, 4, 5]) {
    answers.push((await world.send(first(ben), conversationId, { epoch })).outcome);
  }
  const open = ['accepted', 'accepted', 'accepted'];
  expect(answers).toEqual(['stale-epoch', 'stale-epoch', ...open, 'stale-epoch']);
  const other = await world.send(first(ben), conversationId, { epoch: 4, generation: 1 });
  expect(other).toEqual({ outcome: 'stale-epoch', generation: 0, epoch: 4 });
});

test('S4 An envelope goes only to devices that were in the roster in its epoch', async () => {
  const { anna, ben, conversationId } = await directChat();
  const late = await world.addDevice(ben, 2);
  const added = [leafOf(late, 2)];
  await world.commit(first(ben), conversationId, { form: 'member', epoch: 1, added });
  await world.send(first(anna), conversationId, { epoch: 1 });
  await world.send(first(anna), conversationId, { epoch: 2 });
  const epochs = (await world.mailbox(late)).map(({ type, epoch }) => [type, epoch]);
  expect(epochs).toEqual([
    ['welcome', 1],
    ['message', 2],
  ]);
  expect(await world.send(late, conversationId, { epoch: 1 })).toMatchObject({
    outcome: 'stale-epoch',
  });
});

test('D4 S4 After a revocation nothing is accepted until a commit removed the leaf', async () => {
  const { anna, ben, conversationId, leaves } = await directChat(2);
  const lost = second(ben);
  await world.revoke(lost);
  await world.hotPath.duties.revokeLeaves(ben.accountId, [lost.deviceId]);
  const gone = leaves.find(
    (leaf) => leaf.accountId === ben.accountId && leaf.deviceId === lost.deviceId,
  )!;
  const refusal = { outcome: 'removal-required', leaves: [gone] };
  expect(await world.send(first(anna), conversationId)).toEqual(refusal);
  const control = { class: 'control', kind: 'receipt' } as const;
  expect(await world.send(first(ben), conversationId, control)).toEqual(refusal);
  // The revoked device itself, should its token still be remembered somewhere.
  expect(await world.send(lost, conversationId)).toEqual({ outcome: 'not-member' });
  const removed = [gone];
  await world.commit(first(anna), conversationId, { form: 'member', epoch: 1, removed });
  expect((await world.send(first(anna), conversationId, { epoch: 1 })).outcome).toBe('stale-epoch');
  expect((await world.send(first(anna), conversationId, { epoch: 2 })).outcome).toBe('accepted');
  expect(await world.mailbox(lost)).toEqual([]);
});

test('S5 X2 Between persons a block looks like sent, and nothing is delivered', async () => {
  const { anna, ben, conversationId } = await directChat();
  const other = await world.addDevice(anna, 2);
  const added = [leafOf(other, 2)];
  await world.commit(first(anna), conversationId, { form: 'member', epoch: 1, added });
  await world.block(ben, anna);
  const before = await world.mailbox(first(ben));
  const once = { clientId: clientId(), epoch: 2 };
  const answer = await world.send(first(anna), conversationId, once);
  expect(answer).toMatchObject({ outcome: 'accepted', duplicate: false, sequence: 3 });
  expect(await world.send(first(anna), conversationId, once)).toEqual({
    ...answer,
    duplicate: true,
  });
  expect(await world.mailbox(first(ben))).toEqual(before);
  // Her own other device shows what she sent.
  expect((await world.mailbox(other)).at(-1)).toMatchObject({ clientId: once.clientId });
  // The blocker himself still writes.
  await world.send(first(ben), conversationId, { epoch: 2 });
  expect((await world.mailbox(first(anna))).at(-1)).toMatchObject({ type: 'message' });
});

test('S5 Towards a business a block is `undeliverable`, whatever is sent', async () => {
  const { person, firm, conversationId } = await businessChat();
  await world.send(first(person), conversationId);
  const template = { id: await world.addTemplate(firm), category: 'utility' } as const;
  await world.block(person, firm);
  const tries = [
    {},
    { kind: 'template', template },
    { class: 'control', kind: 'receipt' },
  ] as const;
  for (const one of tries) {
    expect(await world.send(first(firm), conversationId, one)).toEqual({
      outcome: 'undeliverable',
    });
  }
  expect(await meterOf(conversationId)).toEqual([]);
});

test('S5 X2 Without any leaf of the other side a message is `undeliverable`, blocked or not', async () => {
  const { person, firm, conversationId } = await businessChat();
  await world.send(first(person), conversationId);
  const [gone] = person.devices;
  await world.revoke(gone!);
  await world.hotPath.duties.revokeLeaves(person.accountId, [gone!.deviceId]);
  const removed = [leafOf(gone!, 0)];
  await world.commit(first(firm), conversationId, { form: 'member', epoch: 1, removed });
  const undeliverable = { outcome: 'undeliverable' };
  expect(await world.send(first(firm), conversationId, { epoch: 2 })).toEqual(undeliverable);
  await world.block(person, firm);
  expect(await world.send(first(firm), conversationId, { epoch: 2 })).toEqual(undeliverable);

  const { anna, ben, conversationId: pair } = await directChat();
  await world.revoke(first(ben));
  await world.hotPath.duties.revokeLeaves(ben.accountId, [first(ben).deviceId]);
  const leaf = leafOf(first(ben), 1);
  await world.commit(first(anna), pair, { form: 'member', epoch: 1, removed: [leaf] });
  expect(await world.send(first(anna), pair, { epoch: 2 })).toEqual(undeliverable);
  await world.block(ben, anna);
  expect(await world.send(first(anna), pair, { epoch: 2 })).toEqual(undeliverable);
});

test('S5 A person blocked by a business sees its message as sent; no window opens', async () => {
  const { person, firm, conversationId } = await businessChat();
  await world.block(firm, person);
  expect(await world.send(first(person), conversationId)).toMatchObject({ outcome: 'accepted' });
  expect(await world.mailbox(first(firm))).toHaveLength(1);
  await world.database.query('DELETE FROM blocks WHERE blocked = $1', [person.accountId]);
  expect(await world.send(first(firm), conversationId)).toEqual({ outcome: 'window-closed' });
});

test('S5 A group carries what a blocked member writes: its members chose it', async () => {
  const [anna, ben, cleo] = [
    await world.addPerson(),
    await world.addPerson(),
    await world.addPerson(),
  ];
  const accounts = [ben.accountId, cleo.accountId];
  const { conversationId } = await world.found(first(anna), { kind: 'group', accounts });
  await world.block(ben, cleo);
  await world.send(first(cleo), conversationId);
  expect((await world.mailbox(first(ben))).at(-1)).toMatchObject({ type: 'message' });
});

test('S6 Only a person’s own message opens the window, for 24 hours', async () => {
  const { person, firm, conversationId } = await businessChat();
  const closed = { outcome: 'window-closed' };
  expect(await world.send(first(firm), conversationId)).toEqual(closed);
  const control = { class: 'control', kind: 'receipt' } as const;
  await world.send(first(person), conversationId, control);
  expect(await world.send(first(firm), conversationId)).toEqual(closed);
  // Control of the business needs no window.
  expect((await world.send(first(firm), conversationId, control)).outcome).toBe('accepted');
  await world.send(first(person), conversationId);
  expect((await world.send(first(firm), conversationId)).outcome).toBe('accepted');
  world.clock.now += limits.serviceWindowHours * 3_600_000 - 1;
  expect((await world.send(first(firm), conversationId)).outcome).toBe('accepted');
  world.clock.now += 1;
  expect(await world.send(first(firm), conversationId)).toEqual(closed);
});

test('S6 A changed account key ends the window', async () => {
  const { person, firm, conversationId } = await businessChat();
  await world.send(first(person), conversationId);
  await world.hotPath.duties.endWindows(person.accountId);
  expect(await world.send(first(firm), conversationId)).toEqual({ outcome: 'window-closed' });
});

test('S7 A template must be the sender’s own, approved and of the named category', async () => {
  const { person, firm, conversationId } = await businessChat();
  const stranger = await world.addBusiness();
  const send = async (id: Awaited<ReturnType<World['addTemplate']>>, device = first(firm)) =>
    world.send(device, conversationId, {
      kind: 'template',
      template: { id, category: 'utility' },
    });
  const refused = (reason: string) => ({ outcome: 'template-refused', reason });
  expect(await send('4999999' as never)).toEqual(refused('unknown'));
  expect(await send(await world.addTemplate(stranger))).toEqual(refused('unknown'));
  for (const [status, reason] of [
    ['pending', 'not-approved'],
    ['rejected', 'not-approved'],
    ['paused', 'paused'],
    ['disabled', 'disabled'],
    ['deleted', 'unknown'],
  ] as const) {
    expect(await send(await world.addTemplate(firm, { status }))).toEqual(refused(reason));
  }
  const marketing = await world.addTemplate(firm, { category: 'marketing' });
  expect(await send(marketing)).toEqual(refused('wrong-category'));
  const good = await world.addTemplate(firm);
  expect((await send(good)).outcome).toBe('accepted');
  // A person has no templates.
  expect(await send(good, first(person))).toEqual(refused('unknown'));
  expect(await meterOf(conversationId)).toHaveLength(1);
});

test('S8 A business keeps to the pair rate; the person and control do not count', async () => {
  const { person, firm, conversationId } = await businessChat();
  await world.send(first(person), conversationId);
  const { burst, secondsPerMessage } = limits.pairRate;
  const outcomes = [];
  for (let sent = 0; sent < burst; sent += 1) {
    outcomes.push((await world.send(first(firm), conversationId)).outcome);
  }
  expect(new Set(outcomes)).toEqual(new Set(['accepted']));
  const refused = { outcome: 'pair-rate', retryAfterSeconds: secondsPerMessage };
  expect(await world.send(first(firm), conversationId)).toEqual(refused);
  const control = { class: 'control', kind: 'receipt' } as const;
  expect((await world.send(first(firm), conversationId, control)).outcome).toBe('accepted');
  expect((await world.send(first(person), conversationId)).outcome).toBe('accepted');
  world.clock.now += secondsPerMessage * 1000;
  expect((await world.send(first(firm), conversationId)).outcome).toBe('accepted');
  expect(await world.send(first(firm), conversationId)).toEqual(refused);
  world.clock.now += burst * secondsPerMessage * 1000;
  for (let sent = 0; sent < burst; sent += 1) {
    expect((await world.send(first(firm), conversationId)).outcome).toBe('accepted');
  }
});

test('S8 S3 Duplicates and refusals do not use up the pair rate', async () => {
  const { person, firm, conversationId } = await businessChat();
  await world.send(first(person), conversationId);
  const once = { clientId: clientId() };
  await world.send(first(firm), conversationId, once);
  for (let sent = 0; sent < 100; sent += 1) {
    const answer = await world.send(first(firm), conversationId, once);
    expect(answer).toMatchObject({ duplicate: true });
  }
  expect((await world.send(first(firm), conversationId)).outcome).toBe('accepted');
});

test('S9 Each accepted business message has one meter row, a person’s has none', async () => {
  const { person, firm, conversationId } = await businessChat();
  const id = await world.addTemplate(firm, { category: 'marketing' });
  const template = { id, category: 'marketing' } as const;
  await world.send(first(firm), conversationId, { kind: 'template', template });
  await world.send(first(person), conversationId);
  await world.send(first(firm), conversationId);
  await world.send(first(firm), conversationId, { kind: 'template', template });
  await world.send(first(firm), conversationId, { class: 'control', kind: 'receipt' });
  const plain = { delivered_at: null };
  expect(await meterOf(conversationId)).toEqual([
    { sequence: 2, category: 'marketing', template_id: Number(id), in_window: false, ...plain },
    { sequence: 4, category: 'service', template_id: null, in_window: true, ...plain },
    { sequence: 5, category: 'marketing', template_id: Number(id), in_window: true, ...plain },
  ]);
});

test('S9 Blobs of an accepted message are attached, also when it is sent again', async () => {
  const { anna, conversationId } = await directChat();
  const once = { clientId: clientId(), blobs: [bytes(16)] };
  world.attached.length = 0;
  await world.send(first(anna), conversationId, { ...once, epoch: 7 });
  expect(world.attached).toEqual([]);
  await world.send(first(anna), conversationId, once);
  await world.send(first(anna), conversationId, once);
  const attached = { owner: anna.accountId, blobIds: once.blobs };
  expect(world.attached).toEqual([attached, attached]);
});
