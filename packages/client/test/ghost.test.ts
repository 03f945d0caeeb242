// Somebody whom the operator writes into its books, or slips under a founding: read by nobody, and told in the chat.

import { randomUUID } from 'node:crypto';
import { fromBase64Url, toBase64Url } from '@siegel/protocol/content';
import type { ClientId, ConversationId } from '@siegel/protocol/ids';
import {
  type AnswerOf,
  getConversation,
  type openConversation,
  submitCommit,
} from '@siegel/protocol/relay';
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

describe('a ghost', { timeout: 90_000 }, () => {
  const names = (device: TestDevice) => device.notices.map(({ notice }) => notice);
  const nothingRead = (ghost: TestDevice) => expect(ghost.texts()).toEqual([]);

  it('that the relay makes a member, and that commits itself in, is adopted by nobody', async () => {
    const [alice, bob] = await chat();
    const ghost = await world.person();
    const { conversationId } = bob.received[0]!;
    await ghost.account.close();
    await world.seat(conversationId, ghost);
    const entered = await enterBlindly(ghost, conversationId);
    expect(entered).toBe('accepted');
    await noticed(alice, 'roster-mismatch');
    await noticed(bob, 'roster-mismatch');
    // As long as the relay insists on the ghost it takes no founding without it: nothing is sent, so nothing is read.
    await alice.account.send({ to: { conversationId }, body: text('not for ghosts') });
    expect(names(alice)).not.toContain('new-generation');
    await world.unseat(conversationId, ghost);
    await seen(bob, 'not for ghosts');
    await works(alice, bob, 'healed');
    const { generation, roster } = await world.stateOf(alice, conversationId);
    expect(generation).toBe(1);
    expect(roster.map(({ accountId }) => accountId)).not.toContain(ghost.identity.accountId);
    for (const each of [alice, bob]) {
      expect(names(each).filter((notice) => notice === 'roster-mismatch')).toHaveLength(1);
      const [known] = await each.account.conversations();
      expect(known!.members).toHaveLength(2);
    }
    await ghost.open();
    await works(alice, bob, 'after');
    nothingRead(ghost);
  });

  it('that the relay slips under the keys of a founding is sealed to by nobody', async () => {
    const alice = await world.person();
    const bob = await world.person();
    const ghost = await world.person();
    await reopen(alice, { connection: slipping(ghost) });
    await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('secret') });
    await seen(bob, 'secret');
    await noticed(alice, 'roster-mismatch');
    await works(alice, bob, 'after');
    nothingRead(ghost);
    expect((await alice.account.conversations())[0]!.members).toHaveLength(2);
  });

  it('is not let into a chat with a firm either', async () => {
    const alice = await world.person();
    const { gateway, number } = await world.firm();
    const ghost = await world.person();
    await reopen(alice, { connection: slipping(ghost) });
    await alice.account.send({ to: { business: number }, body: text('my balance?') });
    await seen(gateway, 'my balance?');
    const { conversationId } = gateway.received[0]!;
    await noticed(alice, 'roster-mismatch');
    await gateway.account.send({ to: { conversationId }, body: text('balance 12') });
    await seen(alice, 'balance 12');
    nothingRead(ghost);
  });

  it('is not given what was asked for somebody else', async () => {
    const [alice, bob] = await chat();
    const carol = await world.person();
    const { conversationId } = bob.received[0]!;
    const state = await world.stateOf(alice, conversationId);
    const swapping = calling(async (call, endpoint, request) =>
      endpoint.name === 'openConversation'
        ? { outcome: 'exists', state }
        : await call(endpoint, request),
    );
    await reopen(alice, { connection: swapping });
    await alice.account.send({ to: { direct: carol.identity.accountId }, body: text('for Carol') });
    await eventually(
      () => alice.statuses.some(({ failure }) => failure === 'undeliverable'),
      () => [alice.statuses, alice.reports.map(String)],
    );
    await works(alice, bob, 'after');
    expect(bob.texts()).not.toContain('for Carol');
  });

  /** With its own keys and a policy that allows everything, past its engine. */
  async function enterBlindly({ identity }: TestDevice, conversationId: ConversationId) {
    const connection = world.connect(identity.deviceToken);
    const view = await connection.call(getConversation, { conversationId });
    if (view.outcome !== 'conversation' || view.groupInfo === undefined) throw new Error('no view');
    const { generation } = view.state;
    const joined = await world.engine.joinByExternalCommit({
      groupContext: { conversationId, generation },
      groupInfo: fromBase64Url(view.groupInfo),
      identity,
      clientId: randomUUID() as ClientId,
      authorize: () => ({ outcome: 'allowed' }),
      now: world.now(),
    });
    if (joined.outcome !== 'joined') throw new Error(joined.reason);
    const answer = await connection.call(submitCommit, {
      conversationId,
      clientId: joined.header.clientId,
      generation,
      epoch: joined.epoch,
      form: 'external',
      commit: toBase64Url(joined.commit),
      groupInfo: toBase64Url(joined.groupInfo),
      added: joined.delta.added.map(({ leafIndex, accountId, deviceId }) => ({
        leafIndex,
        accountId,
        deviceId,
      })),
      removed: [],
    });
    return answer.outcome;
  }

  /** Adds the ghost to the members and keys of whatever is to be founded. */
  const slipping = (ghost: TestDevice) =>
    calling(async (call, endpoint, request) => {
      const answer = (await call(endpoint, request)) as AnswerOf<typeof openConversation>;
      if (endpoint.name !== 'openConversation' || answer.outcome !== 'to-found') return answer;
      const { state, members } = answer;
      const { accountId } = ghost.identity;
      const row = { accountId, kind: 'person', role: 'member', deviceListVersion: 1 } as const;
      return {
        ...answer,
        state: { ...state, members: [...state.members, row] },
        members: [...members, await world.keysOf(ghost)],
      };
    });
});
