// What is sealed first is submitted first, also when a receipt and a message are written at the same moment: the other side keeps
// no keys of what was overtaken, and a lost receipt is never asked for again.

import { afterAll, beforeAll, it } from 'vitest';
import type { Store } from '../src/index.ts';
import { owedReceiptPrefix } from '../src/receipts.ts';
import { createWorld, eventually, seen, text, type World } from './engine-world.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

/** Calls `meet` once, while the account reads which receipts it owes. */
const meetingReceipts = (meet: () => void) => (store: Store<undefined>) => {
  let met = false;
  return {
    ...store,
    async list(collection, range) {
      const entries = await store.list(collection, range);
      const owes = range.prefix.startsWith(owedReceiptPrefix) && range.prefix !== owedReceiptPrefix;
      if (owes && entries.length > 0 && !met) {
        met = true;
        meet();
      }
      return entries;
    },
  } satisfies Store<undefined>;
};

it('a message written while receipts are flushed does not overtake them', async () => {
  const alice = await world.person();
  const bob = await world.person();
  await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('hello') });
  await seen(bob, 'hello');
  await alice.account.settled();
  await bob.account.settled();
  const { conversationId } = bob.received[0]!;
  for (let round = 0; round < 5; round += 1) {
    await bob.account.close();
    const store = meetingReceipts(() => {
      void bob.account.send({ to: { conversationId }, body: text(`answer ${round}`) });
    });
    await bob.open({ store });
    const to = { conversationId };
    const { clientId } = await alice.account.send({ to, body: text(`question ${round}`) });
    await seen(alice, `answer ${round}`);
    const reached = () => alice.statuses.filter((one) => one.clientId === clientId);
    await eventually(
      () => reached().some(({ status }) => status === 'delivered'),
      () => [round, reached(), alice.reports.map(String)],
    );
  }
});
