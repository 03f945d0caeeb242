// Two people and the real relay: found, send, receive, once and in order.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createWorld, seen, text, type World } from './engine-world.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterEach(() => world.closeAccounts());
afterAll(() => world.close());

describe('two people', () => {
  it('write to each other, and each message is told once, in order', async () => {
    const alice = await world.person();
    const bob = await world.person();
    const direct = bob.identity.accountId;
    for (const each of ['one', 'two', 'three']) {
      await alice.account.send({ to: { direct }, body: text(each) });
    }
    await seen(bob, 'three');
    const { conversationId } = bob.received[0]!;
    await bob.account.send({ to: { conversationId }, body: text('four') });
    await seen(alice, 'four');
    expect(bob.texts()).toEqual(['one', 'two', 'three']);
    expect(alice.texts()).toEqual(['four']);
    await alice.account.settled();
    await bob.account.settled();
    expect(alice.reports).toEqual([]);
    expect(bob.reports).toEqual([]);
  });
});
