// Many at once, over several relay processes: sequences without gaps, each message once, and no deadlock (S3, S9, M1).

import { bucketOf, type ConversationId } from '@siegel/protocol/ids';
import { submitMessage } from '@siegel/protocol/relay';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createWakeups } from '../src/mailbox/wakeups.ts';
import {
  bytes,
  clientId,
  createWorld,
  type Device,
  type TestAccount,
  type World,
} from './hot-path-world.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld({ connection: { poolMax: 20 } });
});
afterAll(() => world.close());

const first = ({ devices }: TestAccount): Device => devices[0]!;

async function chat() {
  const [anna, ben] = [await world.addPerson(), await world.addPerson()];
  const { conversationId } = await world.found(first(anna), {
    kind: 'direct',
    accountId: ben.accountId,
  });
  return { anna, ben, conversationId };
}

const request = (conversationId: ConversationId) => ({
  conversationId,
  generation: 0,
  epoch: 1,
  class: 'message' as const,
  kind: 'free-form' as const,
  clientId: clientId(),
  commitment: bytes(32),
  mls: bytes(100),
});

test('S9 M1 200 submits at once have sequences without gaps, in order per sender, each once', async () => {
  const { anna, ben, conversationId } = await chat();
  const requests = Array.from({ length: 200 }, () => request(conversationId));
  const answers = await Promise.all(
    requests.map((one, index) => world.send(first(index % 2 ? anna : ben), conversationId, one)),
  );
  const sequences = answers.map((one) => (one.outcome === 'accepted' ? one.sequence : 0));
  expect([...sequences].sort((a, b) => a - b)).toEqual(
    Array.from({ length: 200 }, (_, index) => index + 2),
  );
  for (const side of [0, 1]) {
    const own = sequences.filter((_, index) => index % 2 === side);
    expect(own).toEqual([...own].sort((a, b) => a - b));
  }
  const received = await world.mailbox(first(ben));
  const ids = received.slice(1).map((item) => item.clientId);
  expect(ids).toEqual(requests.filter((_, index) => index % 2 === 1).map((one) => one.clientId));
});

test('S3 S9 Retries over three relays at once are accepted once', async () => {
  const { anna, ben, conversationId } = await chat();
  const relays = [world.hotPath, ...[1, 2].map(() => world.create({ wakeups: createWakeups() }))];
  const requests = Array.from({ length: 60 }, () => request(conversationId));
  const answers = await Promise.all(
    relays.flatMap(({ routes }) => {
      const route = routes.find(({ endpoint }) => endpoint.name === submitMessage.name)!;
      return requests.map((one) => route.run(first(anna), one));
    }),
  );
  expect(new Set(answers.map(({ outcome }) => outcome))).toEqual(new Set(['accepted']));
  const fresh = answers.filter((answer) => !(answer as { duplicate?: boolean }).duplicate);
  expect(fresh).toHaveLength(60);
  for (const relay of relays) await relay.copier.settled();
  const received = await world.mailbox(first(ben));
  expect(received.map(({ sequence }) => sequence)).toEqual(
    Array.from({ length: 61 }, (_, index) => index + 1),
  );
  await Promise.all(relays.slice(1).map((relay) => relay.close()));
  expect(world.failures).toEqual([]);
});

test('S9 Batches over many conversations in any order never end in a deadlock', async () => {
  const chats = await Promise.all(Array.from({ length: 12 }, chat));
  const relays = [1, 2, 3].map(() => world.create({ wakeups: createWakeups() }));
  const shuffled = (turn: number) => chats.map((_, index) => chats[(index * 5 + turn) % 12]!);
  const answers = await Promise.all(
    relays.flatMap(({ routes }, turn) => {
      const route = routes.find(({ endpoint }) => endpoint.name === submitMessage.name)!;
      return Array.from({ length: 8 }, () => shuffled(turn))
        .flat()
        .map(({ anna, conversationId }) => route.run(first(anna), request(conversationId)));
    }),
  );
  expect(new Set(answers.map(({ outcome }) => outcome))).toEqual(new Set(['accepted']));
  for (const relay of relays) await relay.close();
  for (const { ben, conversationId } of chats) {
    const { rows } = await world.database.query<{ sequence: number }>(
      'SELECT sequence FROM log WHERE bucket = $1 AND conversation_id = $2 ORDER BY sequence',
      [bucketOf(conversationId), conversationId],
    );
    const all = Array.from({ length: 25 }, (_, index) => index + 1);
    expect(rows.map(({ sequence }) => sequence)).toEqual(all);
    const received = await world.mailbox(first(ben));
    expect(received.map(({ sequence }) => sequence)).toEqual(all);
  }
  expect(world.failures).toEqual([]);
});

test('S4 C5 Messages and commits at once: what is accepted was in an open epoch', async () => {
  const { anna, ben, conversationId } = await chat();
  const sending = Array.from({ length: 100 }, async (_, index) => {
    const epoch = 1 + Math.floor(index / 20);
    return { epoch, answer: await world.send(first(ben), conversationId, { epoch }) };
  });
  const committing = (async () => {
    for (let epoch = 1; epoch <= 5; epoch += 1) {
      const answer = await world.commit(first(anna), conversationId, { form: 'member', epoch });
      expect(answer.outcome).toBe('accepted');
    }
  })();
  await committing;
  for (const { epoch, answer } of await Promise.all(sending)) {
    if (answer.outcome === 'stale-epoch') continue;
    expect(answer).toMatchObject({ outcome: 'accepted' });
    expect(epoch).toBeGreaterThan(0);
  }
  const received = await world.mailbox(first(anna));
  const sequences = received.map(({ sequence }) => sequence);
  expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
});
