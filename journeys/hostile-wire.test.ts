// Story (g), the wire: the operator replays, reorders, drops, doubles and alters what a device gets. Each is refused, told in the
// chat, or comes to nothing; each test says which.
import type { ConversationNotice } from '@siegel/client';
import { ClientId, DeviceId, NumericId } from '@siegel/protocol/ids';
import type { DeliveredItem, DeliveredMessage } from '@siegel/protocol/relay';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type Chat,
  fresh,
  type HostileScene,
  hostileScene,
  isMessage,
  noticesOf,
  timesShown,
} from './hostile-scene.ts';
import { statusesOf, waitForStatus } from './read-webhook.ts';
import { shownText, shows } from './shown-text.ts';

let scene: HostileScene;

/** Changes the next shown message, and nothing else. */
function changeNext(change: (item: DeliveredMessage) => DeliveredItem[]): void {
  let done = false;
  scene.line.rule({
    deliver: (items) =>
      items.flatMap((item) => {
        if (done || !isMessage(item)) return [item];
        done = true;
        return change(item);
      }),
  });
}

beforeAll(async () => {
  scene = await hostileScene();
});
afterEach(() => scene?.line.rule({}));
afterAll(() => scene?.[Symbol.asyncDispose]());

describe('over the wire', () => {
  let alice: Chat;
  beforeAll(async () => {
    alice = await scene.chat();
  });

  async function send(...texts: string[]): Promise<void> {
    for (const text of texts) await scene.system.sendText(alice.one.number, text);
  }

  test('frames delivered twice and replayed later change nothing', async () => {
    const kept: DeliveredItem[] = [...scene.line.seen.slice(-8)];
    scene.line.rule({
      deliver(items) {
        kept.push(...items);
        return [...kept, ...items];
      },
    });
    const texts = ['Eins.', 'Zwei.', 'Drei.'].map(fresh);
    await send(...texts);
    await alice.one.waitFor(shows(texts[2]!));
    scene.line.cut();
    await scene.expectTalk(alice);
    expect(texts.map((text) => timesShown(alice.one, text))).toEqual([1, 1, 1]);
    expect(noticesOf(alice.one)).toEqual([]);
  });

  test('reordered messages all come, each once', async () => {
    let held: DeliveredItem | undefined;
    let swapped = false;
    scene.line.rule({
      deliver: (items) =>
        items.flatMap((item) => {
          if (swapped || !isMessage(item)) return [item];
          if (held === undefined) {
            held = item;
            return [];
          }
          swapped = true;
          return [item, held];
        }),
    });
    const texts = ['Zuerst.', 'Danach.'].map(fresh);
    await send(...texts);
    for (const text of texts) await alice.one.waitFor(shows(text), { timeoutMs: 60_000 });
    expect(swapped).toBe(true);
    expect(texts.map((text) => timesShown(alice.one, text))).toEqual([1, 1]);
    await scene.expectTalk(alice);
  });

  test('a dropped message stays undelivered in the eyes of its sender', async () => {
    changeNext(() => []);
    const { wamid } = await scene.system.sendText(alice.one.number, fresh('Verschwunden.'));
    await waitForStatus(scene.sink, wamid, 'sent');
    const next = fresh('Angekommen.');
    const after = await scene.system.sendText(alice.one.number, next);
    await alice.one.waitFor(shows(next));
    await waitForStatus(scene.sink, after.wamid, 'delivered');
    await alice.one.account.settled();
    expect(statusesOf(scene.sink, wamid).map(({ status }) => status)).toEqual(['sent']);
    await scene.expectTalk(alice);
  });

  type Alteration = readonly [
    field: string,
    change: (item: DeliveredMessage) => Partial<DeliveredMessage>,
    notice: ConversationNotice['notice'] | undefined,
    sent: 'text' | 'template',
  ];
  const otherId = () => ClientId.parse(crypto.randomUUID());
  const alterations: readonly Alteration[] = [
    ['the class', () => ({ class: 'control', kind: 'notice' }), undefined, 'text'],
    ['the kind', () => ({ kind: 'template' }), 'message-refused', 'text'],
    [
      'the template id',
      ({ template }) => ({ template: { ...template!, id: NumericId.parse('123456789012345') } }),
      'message-refused',
      'template',
    ],
    [
      'the category',
      ({ template }) => ({ template: { ...template!, category: 'marketing' } }),
      'message-refused',
      'template',
    ],
    [
      'the template away',
      () => ({ kind: 'free-form', template: undefined }),
      'message-refused',
      'template',
    ],
    ['the client id', () => ({ clientId: otherId() }), 'message-refused', 'text'],
    [
      'the commitment',
      () => ({ commitment: Buffer.alloc(32, 7).toString('base64url') }),
      'message-refused',
      'text',
    ],
    [
      'the sender’s device',
      ({ sender }) => ({ sender: { ...sender, deviceId: DeviceId.parse(5) } }),
      'sender-mismatch',
      'text',
    ],
    [
      'the sender’s account',
      ({ sender }) => ({ sender: { ...sender, accountId: otherId() as never } }),
      'sender-mismatch',
      'text',
    ],
  ];

  test.each(alterations)('altering %s shows nothing of it', async (_, change, notice, sent) => {
    const before = alice.one.notices.length;
    const shown = alice.one.received.length;
    changeNext((item) => [{ ...item, ...change(item) }]);
    const flight = { flight: 'NW999', time: '09:09', gate: 'Z9' };
    if (sent === 'text') await send(fresh('Verändert.'));
    else await scene.system.sendFlightUpdate({ to: alice.one.number, ...flight });
    const after = fresh('Unverändert.');
    await send(after);
    await alice.one.waitFor(shows(after));
    await alice.one.account.settled();
    expect(alice.one.received.slice(shown).map(shownText)).toEqual([after]);
    const told = alice.one.notices.slice(before).map((each) => each.notice);
    expect(told).toEqual(notice === undefined ? [] : [notice]);
  });

  test('after all that the chat goes on', () => scene.expectTalk(alice));
});
