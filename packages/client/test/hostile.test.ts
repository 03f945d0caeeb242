// A relay that lies, and members that do: what comes of it is detected or harmless, and the conversation goes on.

import { randomBytes } from 'node:crypto';
import { type DeliveredItem, submitCommit } from '@siegel/protocol/relay';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RelayConnection } from '../src/relay-connection.ts';
import {
  createWorld,
  eventually,
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

const garbage = (octets = 300) => randomBytes(octets).toString('base64url');

async function chat(): Promise<[TestDevice, TestDevice]> {
  const alice = await world.person();
  const bob = await world.person();
  await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('hello') });
  await seen(bob, 'hello');
  await bob.account.send({ to: { direct: alice.identity.accountId }, body: text('hello too') });
  await seen(alice, 'hello too');
  await alice.account.settled();
  await bob.account.settled();
  return [alice, bob];
}

/** The mailbox as the liar hands it over. Positions stay as they are, so that acknowledgements still fit. */
const delivering =
  (change: (items: readonly DeliveredItem[]) => readonly DeliveredItem[]) =>
  (connection: RelayConnection): RelayConnection => ({
    ...connection,
    openMailbox: (handlers) =>
      connection.openMailbox({
        ...handlers,
        async onItems(items) {
          const changed = change(items);
          if (changed.length > 0) await handlers.onItems(changed);
          return items.at(-1)?.position;
        },
      }),
  });

type Call = RelayConnection['call'];
const calling =
  (change: (call: Call, ...called: Parameters<Call>) => ReturnType<Call>) =>
  (connection: RelayConnection): RelayConnection => ({
    ...connection,
    call: ((...called: Parameters<Call>) => change(connection.call, ...called)) as Call,
  });

async function reopen(device: TestDevice, connection: Parameters<TestDevice['open']>[0]) {
  await device.account.close();
  await device.open(connection);
}

const works = async (alice: TestDevice, bob: TestDevice, word: string) => {
  await alice.account.send({ to: { direct: bob.identity.accountId }, body: text(`${word} a`) });
  await seen(bob, `${word} a`);
  await bob.account.send({ to: { direct: alice.identity.accountId }, body: text(`${word} b`) });
  await seen(alice, `${word} b`);
};

describe('a hostile relay', { timeout: 90_000 }, () => {
  it('that delivers everything twice changes nothing', async () => {
    const [alice, bob] = await chat();
    await reopen(bob, { connection: delivering((items) => items.flatMap((item) => [item, item])) });
    for (const each of ['one', 'two', 'three']) {
      await alice.account.send({ to: { direct: bob.identity.accountId }, body: text(each) });
    }
    await seen(bob, 'three');
    await bob.account.settled();
    expect(bob.texts()).toEqual(['hello', 'one', 'two', 'three']);
    expect(bob.notices.map(({ notice }) => notice)).toEqual(['joined']);
  });

  it('that replays old items later changes nothing', async () => {
    const [alice, bob] = await chat();
    const kept: DeliveredItem[] = [];
    const replaying = delivering((items) => {
      kept.push(...items);
      return [...kept];
    });
    await reopen(bob, { connection: replaying });
    for (const each of ['one', 'two', 'three']) {
      await alice.account.send({ to: { direct: bob.identity.accountId }, body: text(each) });
      await seen(bob, each);
    }
    expect(bob.texts()).toEqual(['hello', 'one', 'two', 'three']);
  });

  it('that swaps two messages costs a resend, and nothing is lost or shown twice', async () => {
    const [alice, bob] = await chat();
    let held: DeliveredItem | undefined;
    let swaps = 0;
    const swapping = delivering((items) =>
      items.flatMap((item) => {
        if (item.type !== 'message' || item.class !== 'message' || swaps > 0) return [item];
        if (held === undefined) {
          held = item;
          return [];
        }
        swaps += 1;
        return [item, held];
      }),
    );
    await reopen(bob, { connection: swapping });
    await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('one') });
    await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('two') });
    await seen(bob, 'one', 'two');
    expect(swaps).toBe(1);
    expect(bob.texts()).toEqual(['hello', 'two', 'one']);
    await bob.account.settled();
    expect(bob.texts().toSorted()).toEqual(['hello', 'one', 'two']);
    const stored = await bob.account.messages(bob.received[0]!.conversationId, { limit: 20 });
    expect(stored.filter(({ own }) => !own)).toHaveLength(3);
    await works(alice, bob, 'after');
  });

  it('that changes a header is refused with a notice', async () => {
    const [alice, bob] = await chat();
    let lies = 1;
    const lying = delivering((items) =>
      items.map((item) => {
        if (item.type !== 'message' || item.class !== 'message' || lies === 0) return item;
        lies -= 1;
        return { ...item, commitment: garbage(32) };
      }),
    );
    await reopen(bob, { connection: lying });
    await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('changed') });
    await noticed(bob, 'message-refused');
    expect(bob.texts()).not.toContain('changed');
    await works(alice, bob, 'after');
  });

  it('that names another sender is refused with a notice', async () => {
    const [alice, bob] = await chat();
    let lies = 1;
    const lying = delivering((items) =>
      items.map((item) => {
        if (item.type !== 'message' || item.class !== 'message' || lies === 0) return item;
        lies -= 1;
        return { ...item, sender: { ...item.sender, deviceId: 7 as typeof item.sender.deviceId } };
      }),
    );
    await reopen(bob, { connection: lying });
    await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('whose?') });
    await noticed(bob, 'sender-mismatch');
    await works(alice, bob, 'after');
  });

  it('that hides a commit is overcome by entering anew, and what was missed is sent again', async () => {
    const alice = await world.person();
    const bob = await world.person();
    await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('hello') });
    await seen(bob, 'hello');
    await bob.account.close();
    await alice.account.close();
    await alice.open({
      connection: delivering((items) => items.filter((item) => item.type !== 'commit')),
    });
    await bob.open();
    // Bob's first answer is followed by his commit, which never comes; what he then writes is an epoch ahead.
    await bob.account.send({ to: { direct: alice.identity.accountId }, body: text('first') });
    await seen(alice, 'first');
    await bob.account.settled();
    await bob.account.send({ to: { direct: alice.identity.accountId }, body: text('second') });
    await seen(alice, 'second');
    expect(alice.texts()).toEqual(['first', 'second']);
  });

  it('that hands out a false GroupInfo does not keep a device out: the next generation is founded', async () => {
    const [alice, bob] = await chat();
    const laptop = await world.link(bob);
    const lying = calling(async (call, endpoint, request) => {
      const answer = await call(endpoint, request);
      return endpoint.name === 'getConversation' ? { ...answer, groupInfo: garbage() } : answer;
    });
    await reopen(laptop, { connection: lying });
    await laptop.account.joinAllConversations();
    await noticed(alice, 'new-generation');
    await noticed(bob, 'new-generation');
    await works(alice, bob, 'after');
    await seen(laptop, 'after a', 'after b');
  });

  it('that changes what a sender wrote under way cannot make anybody read it', async () => {
    const [alice, bob] = await chat();
    let lies = 1;
    const spoiling = delivering((items) =>
      items.map((item) => {
        if (item.type !== 'message' || item.class !== 'message' || lies === 0) return item;
        lies -= 1;
        const octets = Buffer.from(item.mls, 'base64url');
        octets[octets.length - 1]! ^= 1;
        return { ...item, mls: octets.toString('base64url') };
      }),
    );
    await reopen(bob, { connection: spoiling });
    await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('spoilt') });
    // It is asked for again and comes as a control message, proven by the first envelope's commitment.
    await seen(bob, 'spoilt');
    expect(bob.received.at(-1)!.sender.accountId).toBe(alice.identity.accountId);
    expect(bob.texts().filter((each) => each === 'spoilt')).toHaveLength(1);
    await bob.account.settled();
    await works(alice, bob, 'after');
  });
});

describe('a hostile member', { timeout: 90_000 }, () => {
  it('whose commit is garbage is healed by the next generation, and unsent messages go on', async () => {
    const [alice, bob] = await chat();
    const { conversationId } = bob.received[0]!;
    const connection = world.connect(alice.identity.deviceToken);
    const { epoch, generation } = await world.stateOf(alice, conversationId);
    const answer = await connection.call(submitCommit, {
      conversationId,
      clientId: crypto.randomUUID() as never,
      generation,
      epoch,
      form: 'member',
      commit: garbage(),
      groupInfo: garbage(),
      added: [],
      removed: [],
    });
    expect(answer.outcome).toBe('accepted');
    await noticed(bob, 'new-generation');
    await noticed(alice, 'new-generation');
    await works(alice, bob, 'healed');
    await eventually(
      async () => (await world.stateOf(bob, conversationId)).generation === 1,
      () => bob.reports.map(String),
    );
  });

  it('that says another roster than the tree is noticed and healed', async () => {
    const [alice, bob] = await chat();
    const laptop = await world.link(bob);
    // The laptop's commit is delivered to Alice with a leaf that is not in the tree.
    let lies = 1;
    const lying = delivering((items) =>
      items.map((item) => {
        if (item.type !== 'commit' || lies === 0) return item;
        lies -= 1;
        const [added] = item.added;
        return { ...item, added: [added!, { ...added!, leafIndex: 9, deviceId: 3 as never }] };
      }),
    );
    await reopen(alice, { connection: lying });
    await laptop.account.joinAllConversations();
    await noticed(alice, 'roster-mismatch');
    await noticed(bob, 'new-generation');
    await works(alice, bob, 'healed');
  });
});

describe('lost state', { timeout: 90_000 }, () => {
  it('is replaced by entering anew', async () => {
    const [alice, bob] = await chat();
    await bob.account.close();
    for (const key of bob.shelf.collections.get('session')!.keys()) {
      bob.shelf.collections.get('session')!.set(key, randomBytes(100));
    }
    await bob.open();
    await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('lost?') });
    await seen(bob, 'lost?');
    expect(bob.texts().filter((each) => each === 'lost?')).toHaveLength(1);
    await works(alice, bob, 'after');
  });

  it('of a sender is replaced before it writes', async () => {
    const [alice, bob] = await chat();
    await bob.account.close();
    bob.shelf.collections.get('session')!.clear();
    await bob.open();
    await bob.account.send({ to: { direct: alice.identity.accountId }, body: text('still here') });
    await seen(alice, 'still here');
    await works(alice, bob, 'after');
  });
});

describe('three epochs later', { timeout: 90_000 }, () => {
  it('a message sealed too early is sealed again under its client id', async () => {
    const [alice, bob] = await chat();
    const { conversationId } = bob.received[0]!;
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let submitted = 0;
    const holding = calling(async (call, endpoint, request) => {
      if (endpoint.name === 'submitMessage') {
        submitted += 1;
        await held;
      }
      return call(endpoint, request);
    });
    await reopen(alice, { connection: holding });
    const { clientId } = await alice.account.send({ to: { conversationId }, body: text('early') });
    await eventually(
      () => submitted > 0,
      () => 'sealed',
    );
    // Four more devices enter one after the other: the epoch of the sealed message closes.
    for (let count = 0; count < 4; count += 1) {
      const device = await world.link(bob);
      const { epoch } = await world.stateOf(bob, conversationId);
      await device.account.joinAllConversations();
      await eventually(
        async () => (await world.stateOf(bob, conversationId)).epoch > epoch,
        () => device.reports.map(String),
      );
    }
    release();
    await seen(bob, 'early');
    expect(bob.received.find(({ clientId: id }) => id === clientId)).toBeDefined();
    expect(bob.texts().filter((each) => each === 'early')).toHaveLength(1);
  });
});
