// People in a town without firms: they register by SMS, write to each other, and survive SIGKILL.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { person, personProcess, startTown, type Town, tcpCapture } from '../src/index.ts';

const home = mkdtempSync(join(tmpdir(), 'siegel-people-'));
let town: Town;

beforeAll(async () => {
  const options = { home, port: 0, host: '127.0.0.1', behindProxy: false, firms: [] };
  town = await startTown(options, { random: randomBytes });
}, 120_000);

afterAll(async () => {
  await town?.stop();
  rmSync(home, { recursive: true, force: true });
});

const textOf =
  (text: string) => (message: { content: { body: { type: string; text?: string } } }) =>
    message.content.body.type === 'text' && message.content.body.text === text;

test('two people write to each other, and the tap between them sees no word', async () => {
  const { relay, smsInbox } = town.file;
  await using tap = await tcpCapture(relay);
  await using alice = await person({ relay: tap.url, smsInbox, number: '+4917139200001' });
  await using bob = await person({ relay, smsInbox, number: '+4917139200002' });
  const canary = 'Der Apfelkuchen steht auf dem Fensterbrett.';
  const sent = await alice.sendTextToNumber(bob.number, canary);
  const received = await bob.waitFor(textOf(canary));
  await bob.sendText({ conversationId: received.conversationId }, 'Danke');
  await alice.waitFor(textOf('Danke'));
  await bob.account.markRead(received.conversationId, received.messageId);
  await alice.waitForStatus(sent, 'read');
  expect(tap.bytes()).toBeGreaterThan(1000);
  expect(tap.contains(canary)).toBe(false);
});

test('a person killed at any moment has every message it acknowledged, once', async () => {
  const { relay, smsInbox } = town.file;
  const folder = join(home, 'carol');
  await using dave = await person({ relay, smsInbox, number: '+4917139200004' });
  await using carol = await personProcess({ relay, smsInbox, number: '+4917139200003', folder });
  await dave.sendTextToNumber(carol.number, 'before');
  const { conversationId } = await carol.waitFor(textOf('before'));
  for (let round = 0; round < 3; round += 1) {
    const said = Array.from({ length: 4 }, (_, index) => `${round}.${index}`);
    for (const text of said) await dave.sendText({ conversationId }, text);
    await carol.waitFor(textOf(said[1]!));
    await carol.kill();
    expect(carol.pid()).toBeUndefined();
    await carol.start();
    for (const text of said) await carol.waitFor(textOf(text), { timeoutMs: 30_000 });
  }
  await carol.settled();
  const history = await carol.history(conversationId);
  const texts = (history as { content: { body: { text: string } } }[])
    .map(({ content }) => content.body.text)
    .toReversed();
  const expected = [
    'before',
    ...[0, 1, 2].flatMap((round) => [0, 1, 2, 3].map((n) => `${round}.${n}`)),
  ];
  expect(texts).toEqual(expected);
}, 120_000);
