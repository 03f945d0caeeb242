// Story (g), the member: with a good token and the engine in hand, somebody posts a commit that is garbage, and a true commit
// beside a false GroupInfo. The chat heals: a new generation, and everything after it comes, each once.
import {
  continueDeviceLink,
  continueJoining,
  joinDeviceLink,
  openDeviceLink,
  readIdentity,
} from '@siegel/client';
import {
  connectToRelay,
  createMemoryStore,
  nodeEnvironment,
  openNodeDevice,
} from '@siegel/client/node';
import { ClientId } from '@siegel/protocol/ids';
import { getConversation, submitCommit } from '@siegel/protocol/relay';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Chat, fresh, type HostileScene, hostileScene, noticed } from './hostile-scene.ts';
import { sessionOf } from './operator-hands.ts';
import { shows } from './shown-text.ts';

let scene: HostileScene;

beforeAll(async () => {
  scene = await hostileScene();
});
afterAll(() => scene?.[Symbol.asyncDispose]());

const garbage = (): string =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(300))).toString('base64url');
const toText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/** The member's own line to the relay, with its good token. */
async function asMember({ store }: Chat) {
  const { deviceToken: token } = (await readIdentity(store))!;
  return connectToRelay({ url: scene.town.file.relay, token });
}

async function generationOf(chat: Chat): Promise<{ generation: number; epoch: number }> {
  const relay = await asMember(chat);
  const answer = await relay.call(getConversation, { conversationId: chat.conversationId });
  await relay.close();
  if (answer.outcome !== 'conversation') throw new Error(answer.outcome);
  return answer.state;
}

test('a commit of garbage is taken by the relay, refused by everybody, and healed', async () => {
  const alice = await scene.chat();
  const { conversationId } = alice;
  const { generation, epoch } = await generationOf(alice);
  const relay = await asMember(alice);
  const answer = await relay.call(submitCommit, {
    conversationId,
    clientId: ClientId.parse(crypto.randomUUID()),
    generation,
    epoch,
    form: 'member',
    commit: garbage(),
    groupInfo: garbage(),
    added: [],
    removed: [],
  });
  await relay.close();
  expect(answer.outcome).toBe('accepted');
  await noticed(alice.one, 'new-generation');
  await scene.expectTalk(alice);
  await scene.expectTalk(alice);
  expect((await generationOf(alice)).generation).toBe(generation + 1);
});

test('messages on their way while the garbage comes are shown once', async () => {
  const alice = await scene.chat();
  const { conversationId } = alice;
  const { generation, epoch } = await generationOf(alice);
  const relay = await asMember(alice);
  const sent = ['Davor.', 'Währenddessen.', 'Danach.'].map(fresh);
  await scene.system.sendText(alice.one.number, sent[0]!);
  const posted = relay.call(submitCommit, {
    conversationId,
    clientId: ClientId.parse(crypto.randomUUID()),
    generation,
    epoch,
    form: 'member',
    commit: garbage(),
    groupInfo: garbage(),
    added: [],
    removed: [],
  });
  await scene.system.sendText(alice.one.number, sent[1]!);
  expect((await posted).outcome).toBe('accepted');
  await scene.system.sendText(alice.one.number, sent[2]!);
  for (const text of sent) await alice.one.waitFor(shows(text), { timeoutMs: 60_000 });
  await scene.expectTalk(alice);
  for (const text of sent) expect(alice.one.received.filter(shows(text))).toHaveLength(1);
  await relay.close();
});

test('a false GroupInfo keeps no new device out: it founds the next generation', async () => {
  const alice = await scene.chat();
  const { conversationId, store } = alice;
  const before = await generationOf(alice);
  // A true commit, which the firm adopts, beside a GroupInfo that nobody can enter by.
  await alice.one.close();
  const session = await sessionOf(scene.engine, store, conversationId);
  const made = await scene.engine.commitChanges(session, {
    clientId: ClientId.parse(crypto.randomUUID()),
    authorize: () => ({ outcome: 'allowed' }),
    now: nodeEnvironment.now(),
  });
  if (made.outcome !== 'committed') throw new Error(made.reason);
  const relay = await asMember(alice);
  const answer = await relay.call(submitCommit, {
    conversationId,
    clientId: made.header.clientId,
    generation: before.generation,
    epoch: made.epoch,
    form: 'member',
    commit: toText(made.commit),
    groupInfo: garbage(),
    added: [],
    removed: [],
  });
  expect(answer.outcome).toBe('accepted');
  await relay.close();
  const kept = `${conversationId}/${String(before.generation).padStart(7, '0')}`;
  const value = scene.engine.encodeSession(made.session);
  await store.commit([{ collection: 'session', key: kept, value }]);
  const one = await scene.open(store, alice.one.number);
  const again: Chat = { ...alice, one };
  await scene.expectTalk(again);
  expect((await generationOf(again)).generation).toBe(before.generation);

  const identity = (await readIdentity(store))!;
  const laptopStore = createMemoryStore();
  const url = scene.town.file.relay;
  const first = await openNodeDevice({ url, store, token: identity.deviceToken });
  const second = await openNodeDevice({ url, store: laptopStore });
  const link = await openDeviceLink(first, identity);
  if (link.outcome !== 'opened') throw new Error(link.outcome);
  await joinDeviceLink(second, link.code);
  await continueDeviceLink(first, identity);
  await continueJoining(second);
  await Promise.all([first.connection.close(), second.connection.close()]);
  const laptop = await scene.open(laptopStore);
  await laptop.account.joinAllConversations();
  await noticed(one, 'new-generation');
  expect((await generationOf(again)).generation).toBe(before.generation + 1);
  await scene.expectTalk(again);
  const text = fresh('Für beide.');
  await scene.system.sendText(one.number, text);
  await Promise.all([one, laptop].map((each) => each.waitFor(shows(text))));
  await scene.expectTalk(again);
  for (const each of [one, laptop]) expect(each.received.filter(shows(text))).toHaveLength(1);
});
