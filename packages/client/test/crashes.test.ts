// A process may die between any two commits. Whatever the point, after a restart everything arrives once and in order.

import type { ClientId } from '@siegel/protocol/ids';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  crashing,
  createWorld,
  eventually,
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

const texts = ['one', 'two', 'three', 'four'];

const all = (device: TestDevice, wanted: readonly string[], where: string) =>
  eventually(
    () => device.texts().length >= wanted.length,
    () => [where, device.texts(), device.reports.map(String)],
  );

async function shown(device: TestDevice): Promise<string[]> {
  const [conversation] = await device.account.conversations();
  const page = await device.account.messages(conversation!.conversationId, { limit: 50 });
  return page
    .filter(({ own }) => !own)
    .map(({ content }) => (content.body.type === 'text' ? content.body.text : '?'))
    .reverse();
}

/** Alice writes while her process, or Bob's, dies at its n-th commit; answers whether it came that far. */
async function story(
  who: 'sender' | 'receiver',
  at: number,
  when: 'before' | 'after',
): Promise<boolean> {
  let hasCrashed = false;
  const alice = await world.person();
  const bob = await world.person();
  try {
    const direct = bob.identity.accountId;
    const crasher = who === 'sender' ? alice : bob;
    await crasher.account.settled();
    await crasher.account.close();
    await crasher.open({
      store: crashing(at, when, () => {
        hasCrashed = true;
      }),
    });
    const sendAll = async () => {
      for (const [index, each] of texts.entries()) {
        const clientId = `00000000-0000-4000-8000-00000000000${index}` as ClientId;
        await alice.account.send({ to: { direct }, body: text(each), clientId });
      }
    };
    await sendAll().catch(() => undefined);
    let isDone = false;
    void all(bob, texts, 'undisturbed')
      .then(() => Promise.all([alice.account.settled(), bob.account.settled()]))
      .then(
        () => {
          isDone = true;
        },
        () => undefined,
      );
    await eventually(
      () => hasCrashed || isDone,
      () => [who, when, at],
    );
    await crasher.account.close();
    await crasher.open();
    // A caller that does not know what was stored sends all of it again under its own client ids.
    if (who === 'sender') await sendAll();
    const where = `${who} ${when} commit ${at}`;
    await all(bob, texts, where);
    await alice.account.settled();
    await bob.account.settled();
    expect(bob.texts(), where).toEqual(texts);
    expect(await shown(bob), where).toEqual(bob.texts());
    await bob.account.send({ to: { direct: alice.identity.accountId }, body: text('answer') });
    await all(alice, ['answer'], `${where}, answering`);
    expect(alice.texts(), where).toEqual(['answer']);
  } finally {
    await Promise.all([alice.account.close(), bob.account.close()]);
  }
  return hasCrashed;
}

/** So many stories run side by side, each with people of its own. */
const abreast = 6;

describe('a crash at every commit', () => {
  for (const who of ['sender', 'receiver'] as const) {
    for (const when of ['before', 'after'] as const) {
      it(`of the ${who}, just ${when} it is stored, loses and doubles nothing`, async () => {
        let crashes = 0;
        for (let at = 1; crashes === at - 1; at += abreast) {
          const stories = Array.from({ length: abreast }, (_, index) =>
            story(who, at + index, when),
          );
          crashes += (await Promise.all(stories)).filter((crashed) => crashed).length;
        }
        // Sealing, sending, receiving and receipts have all been cut off.
        expect(crashes).toBeGreaterThan(8);
      }, 300_000);
    }
  }
});
