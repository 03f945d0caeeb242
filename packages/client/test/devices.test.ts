// Several devices of one account: joining, reading along, being removed, sharing a conversation of their own.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  createWorld,
  eventually,
  joined,
  noticed,
  seen,
  type TestDevice,
  text,
  type World,
} from './engine-world.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterEach(() => world.closeAccounts());
afterAll(() => world.close());

async function chat(): Promise<[TestDevice, TestDevice]> {
  const alice = await world.person();
  const bob = await world.person();
  await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('hello') });
  await seen(bob, 'hello');
  await bob.account.send({ to: { direct: alice.identity.accountId }, body: text('hello too') });
  await seen(alice, 'hello too');
  return [alice, bob];
}

describe('a second device', { timeout: 60_000 }, () => {
  it('joins every conversation by itself and reads from then on, what its own account writes too', async () => {
    const [alice, bob] = await chat();
    const laptop = await world.link(bob);
    expect(await laptop.account.joinAllConversations()).toBeGreaterThanOrEqual(1);
    await joined(laptop, 2);
    // What is sealed before its commit arrived is not for the new device.
    await noticed(alice, 'device-added');
    await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('to both') });
    await seen(laptop, 'to both');
    await seen(bob, 'to both');
    await bob.account.send({
      to: { direct: alice.identity.accountId },
      body: text('from the phone'),
    });
    await seen(laptop, 'from the phone');
    expect(laptop.texts()).not.toContain('hello');
    expect(laptop.received.find(({ own }) => own)?.sender.deviceId).toBe(1);
    await laptop.account.send({
      to: { direct: alice.identity.accountId },
      body: text('from the laptop'),
    });
    await seen(alice, 'from the laptop');
    await seen(bob, 'from the laptop');
    expect(alice.received.at(-1)?.sender.accountId).toBe(bob.identity.accountId);
  });

  it('shares the own conversation, which is founded when it comes', async () => {
    const alice = await world.person();
    const laptop = await world.link(alice);
    await joined(laptop, 1);
    await joined(alice, 1);
    const own = (await laptop.account.conversations()).filter(({ kind }) => kind === 'own');
    expect(own).toHaveLength(1);
    const { conversationId } = own[0]!;
    await laptop.account.send({
      to: { conversationId },
      body: { type: 'sync', sync: { kind: 'setting', name: 'theme', value: 'dark' } },
    });
    await eventually(
      () => alice.received.some(({ content }) => content.body.type === 'sync'),
      () => alice.reports.map(String),
    );
  });

  it('marks as read here what was read there', async () => {
    const [alice, bob] = await chat();
    const laptop = await world.link(bob);
    await laptop.account.joinAllConversations();
    await eventually(
      () => laptop.notices.length > 0,
      () => 'joined',
    );
    await noticed(alice, 'device-added');
    await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('read me') });
    await seen(laptop, 'read me');
    await seen(bob, 'read me');
    const { conversationId, messageId } = bob.received.at(-1)!;
    const unread = async (device: TestDevice) =>
      (await device.account.conversations()).find((each) => each.conversationId === conversationId)!
        .unread;
    expect(await unread(laptop)).toBe(1);
    await bob.account.markRead(conversationId, messageId);
    expect(await unread(bob)).toBe(0);
    await eventually(
      () => alice.statuses.some(({ status }) => status === 'read'),
      () => alice.statuses,
    );
    await laptop.account.settled();
    expect(await unread(laptop)).toBe(0);
  });
});

describe('a removed device', { timeout: 60_000 }, () => {
  it('opens nothing afterwards, nor what a racing sender sealed in the old epoch', async () => {
    const [alice, bob] = await chat();
    const laptop = await world.link(bob);
    await laptop.account.joinAllConversations();
    await joined(laptop, 2);
    await noticed(alice, 'device-added');
    await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('before') });
    await seen(laptop, 'before');
    await alice.account.settled();
    const { conversationId } = bob.received[0]!;
    // Alice has sealed, and is away while the device is removed.
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await alice.account.close();
    await alice.open({
      connection: (connection) => ({
        ...connection,
        async call(endpoint, request) {
          if (endpoint.name === 'submitMessage') await held;
          return connection.call(endpoint, request);
        },
      }),
    });
    await alice.account.send({ to: { conversationId }, body: text('racing') });
    await bob.account.removeDevice(laptop.identity.deviceId);
    release();
    await seen(bob, 'racing');
    await alice.account.send({ to: { conversationId }, body: text('after') });
    await seen(bob, 'after');
    expect(laptop.texts()).toEqual(['before']);
    const { roster, revoked } = await world.stateOf(bob, conversationId);
    expect(revoked).toEqual([]);
    expect(roster).toHaveLength(2);
    expect(bob.texts().filter((each) => each === 'racing')).toHaveLength(1);
    await noticed(alice, 'device-removed');
  });
});

describe('at the same time', { timeout: 120_000 }, () => {
  it('two founders end in one group', async () => {
    const alice = await world.person();
    const bob = await world.person();
    await Promise.all([
      alice.account.send({ to: { direct: bob.identity.accountId }, body: text('from alice') }),
      bob.account.send({ to: { direct: alice.identity.accountId }, body: text('from bob') }),
    ]);
    await seen(bob, 'from alice');
    await seen(alice, 'from bob');
    const all = [...(await alice.account.conversations()), ...(await bob.account.conversations())];
    expect(new Set(all.map(({ conversationId }) => conversationId)).size).toBe(1);
    expect(all.map(({ generation }) => generation)).toEqual([0, 0]);
  });

  // An open fault (docs/status.md): now and then a device that joined in a crowd never gets one message.
  if (process.env['SIEGEL_OPEN_FAULTS'] === '1') {
    it('many commits are made, and everybody ends in the same epoch', async () => {
      const [alice, bob] = await chat();
      const devices = [alice, bob];
      for (let count = 0; count < 2; count += 1) {
        devices.push(await world.link(alice), await world.link(bob));
      }
      const added = devices.slice(2);
      await Promise.all(added.map((device) => device.account.joinAllConversations()));
      for (const device of added) await joined(device, 2);
      const { conversationId } = alice.received[0]!;
      const { epoch, generation } = await world.stateOf(alice, conversationId);
      expect(epoch).toBeGreaterThanOrEqual(1 + added.length);
      expect(generation).toBe(0);
      // Everybody has met everybody: what is sealed before a commit arrived is not for whoever it added.
      await noticed(alice, 'device-added', added.length);
      await noticed(bob, 'device-added', added.length);
      await Promise.all(devices.map((device) => device.account.settled()));
      for (const [index, device] of devices.entries()) {
        const other = device.identity.accountId === alice.identity.accountId ? bob : alice;
        await device.account.send({
          to: { direct: other.identity.accountId },
          body: text(`from ${index}`),
        });
      }
      for (const [index] of devices.entries()) {
        for (const device of devices.filter((_, at) => at !== index)) {
          await seen(device, `from ${index}`);
        }
      }
    });
  }
});
