// Submitting: every step of the relay's decision, in its order (rules S1 to S9, X2).

import { afterAll, beforeAll, expect, test } from 'vitest';
import { createWorld, type World } from './hot-path-world.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

test('S9 An accepted message has a sequence, is in the log and reaches the other side', async () => {
  const anna = await world.addPerson();
  const ben = await world.addPerson(2);
  const chat = await world.found(anna.devices[0]!, { kind: 'direct', accountId: ben.accountId });
  const answer = await world.send(anna.devices[0]!, chat.conversationId);
  expect(answer).toMatchObject({ outcome: 'accepted', sequence: 2, duplicate: false });
  const items = await world.mailbox(ben.devices[1]!);
  expect(items.map(({ type }) => type)).toEqual(['welcome', 'message']);
});
