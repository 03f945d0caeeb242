// What an account does over time: heals its keys, renews certificates, expires what could not be sent, and stays alone.

import { SiegelError } from '@siegel/protocol/errors';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readIdentity } from '../src/identity.ts';
import { openAccount } from '../src/index.ts';
import { createMemoryStore } from '../src/stores/memory.ts';
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
afterEach(async () => {
  await world.closeAccounts();
  world.clock.offset = 0;
});
afterAll(() => world.close());

const day = 86_400_000;

const epochOf = async (device: TestDevice) =>
  (await world.stateOf(device, device.received[0]!.conversationId)).epoch;

describe('keys', { timeout: 60_000 }, () => {
  it('are healed by a commit after the first answer, and not by notifications', async () => {
    const alice = await world.person();
    const bob = await world.person();
    for (const each of ['one', 'two', 'three']) {
      await alice.account.send({ to: { direct: bob.identity.accountId }, body: text(each) });
    }
    await seen(bob, 'three');
    await alice.account.settled();
    await bob.account.settled();
    expect(await epochOf(bob)).toBe(1);
    await bob.account.send({ to: { direct: alice.identity.accountId }, body: text('answer') });
    await seen(alice, 'answer');
    await eventually(
      async () => (await epochOf(bob)) === 2,
      () => bob.reports.map(String),
    );
    await bob.account.send({ to: { direct: alice.identity.accountId }, body: text('more') });
    await seen(alice, 'more');
    await bob.account.settled();
    expect(await epochOf(bob)).toBe(2);
  });

  it('are healed after a week', async () => {
    const alice = await world.person();
    const bob = await world.person();
    await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('one') });
    await seen(bob, 'one');
    await alice.account.settled();
    world.clock.offset = 8 * day;
    await alice.account.send({
      to: { direct: bob.identity.accountId },
      body: text('a week later'),
    });
    await seen(bob, 'a week later');
    await eventually(
      async () => (await epochOf(bob)) === 2,
      () => alice.reports.map(String),
    );
  });
});

describe('certificates', { timeout: 60_000 }, () => {
  it('are renewed by the main device for itself and for the others', async () => {
    const alice = await world.person();
    const bob = await world.person();
    await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('hello') });
    await seen(bob, 'hello');
    const laptop = await world.link(bob);
    await joined(laptop, 1);
    await laptop.account.joinAllConversations();
    await joined(laptop, 2);
    await joined(bob, 2);
    await noticed(alice, 'device-added');
    const before = [bob, laptop].map(({ identity }) => identity.certificate);
    await bob.account.close();
    world.clock.offset = 70 * day;
    await bob.open();
    const renewed = async (device: TestDevice) =>
      (await readIdentity(createMemoryStore(device.shelf)))!.certificate;
    await eventually(
      async () => (await renewed(bob)) !== before[0] && (await renewed(laptop)) !== before[1],
      () => [...bob.reports, ...laptop.reports].map(String),
    );
    world.clock.offset = 100 * day;
    await laptop.account.send({
      to: { direct: alice.identity.accountId },
      body: text('still valid'),
    });
    await seen(alice, 'still valid');
  });
});

describe('a message that cannot be sent', { timeout: 60_000 }, () => {
  it('waits while the relay is away, over restarts, and then goes out', async () => {
    const alice = await world.person();
    const bob = await world.person();
    await alice.account.close();
    const away = {
      connection: (connection: ReturnType<World['connect']>) => ({
        ...connection,
        call: async () => {
          throw new SiegelError('relay-unreachable');
        },
      }),
    };
    await alice.open(away);
    await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('waiting') });
    await eventually(
      () => alice.reports.length > 0,
      () => 'a report',
    );
    await alice.account.close();
    await alice.open(away);
    expect(alice.statuses).toEqual([]);
    await alice.account.close();
    await alice.open();
    await seen(bob, 'waiting');
  });

  it('has failed after thirty days', async () => {
    const alice = await world.person();
    const bob = await world.person();
    await alice.account.close();
    await alice.open({
      connection: (connection) => ({
        ...connection,
        call: async () => {
          throw new SiegelError('relay-unreachable');
        },
      }),
    });
    await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('late') });
    await alice.account.close();
    world.clock.offset = 31 * day;
    await alice.open();
    await eventually(
      () =>
        alice.statuses.some(({ status, failure }) => status === 'failed' && failure === 'expired'),
      () => [alice.statuses, alice.reports.map(String)],
    );
    expect(bob.texts()).toEqual([]);
  });
});

describe('one engine', { timeout: 60_000 }, () => {
  it('asks for the lock first, gives it back, and stops when it is taken', async () => {
    const alice = await world.person();
    await alice.account.close();
    const events: string[] = [];
    let take: () => void = () => undefined;
    const context = world.contextOf(alice.shelf, alice.identity.deviceToken);
    const account = await openAccount<undefined>({
      ...context.environment,
      store: context.store,
      connection: context.connection,
      provider: world.provider,
      handler: {
        message: async () => undefined,
        status: async () => undefined,
        notice: async () => undefined,
      },
      lock: {
        acquire: async (lost) => {
          events.push('acquired');
          take = lost;
          return { release: () => void events.push('released') };
        },
      },
      onEvent: ({ type }) => events.push(type),
    });
    take();
    const direct = alice.identity.accountId;
    await expect(account.send({ to: { direct }, body: text('too late') })).rejects.toThrow();
    expect(events).toContain('lost');
    await account.close();
    expect(events[0]).toBe('acquired');
    expect(events.at(-1)).toBe('released');
  });

  it('refuses a store without an account', async () => {
    const context = world.contextOf({ collections: new Map() });
    const opening = openAccount<undefined>({
      ...context.environment,
      store: context.store,
      connection: context.connection,
      provider: world.provider,
      handler: {
        message: async () => undefined,
        status: async () => undefined,
        notice: async () => undefined,
      },
    });
    await expect(opening).rejects.toMatchObject({ code: 'unauthenticated' });
  });
});
