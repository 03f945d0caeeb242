// Who is sent a content again: only accounts that sat in the epoch it was sealed in, and only among themselves.

import type { AccountId } from '@siegel/protocol/ids';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { MessageRecord } from '../src/engine-records.ts';
import { decodeRecord, encodeRecord } from '../src/record.ts';
import type { RelayConnection } from '../src/relay-connection.ts';
import {
  createWorld,
  eventually,
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

/** The first message comes with its last octet changed, so that its reader must ask for it again. */
const spoiling = (connection: RelayConnection): RelayConnection => ({
  ...connection,
  openMailbox: (handlers) =>
    connection.openMailbox({
      ...handlers,
      onItems: (items) =>
        handlers.onItems(
          items.map((item) => {
            if (item.type !== 'message' || item.class !== 'message') return item;
            const octets = Buffer.from(item.mls, 'base64url');
            octets[octets.length - 1]! ^= 1;
            return { ...item, mls: octets.toString('base64url') };
          }),
        ),
    }),
});

const newestOwn = ({ shelf }: TestDevice): { key: string; message: MessageRecord } => {
  const all = [...shelf.collections.get('message')!].map(([key, bytes]) => ({
    key,
    message: decodeRecord(MessageRecord, bytes, 'message'),
  }));
  return all.filter(({ message }) => message.own).at(-1)!;
};

async function askedAgain(readersOf: (alice: AccountId, bob: AccountId) => AccountId[]) {
  const alice = await world.person();
  const bob = await world.person();
  const [a, b] = [alice.identity.accountId, bob.identity.accountId];
  await alice.account.send({ to: { direct: b }, body: text('hello') });
  await seen(bob, 'hello');
  await bob.account.close();
  await alice.account.send({ to: { direct: b }, body: text('spoilt') });
  const isSent = () => newestOwn(alice).message.readers?.length === 2;
  await eventually(isSent, () => newestOwn(alice).message.status);
  const { key, message } = newestOwn(alice);
  expect(message.readers!.toSorted()).toEqual([a, b].toSorted());
  const changed = encodeRecord(MessageRecord, { ...message, readers: readersOf(a, b) });
  alice.shelf.collections.get('message')!.set(key, changed);
  await bob.open({ connection: spoiling });
  await bob.account.settled();
  // In his queue after what he asked for: when she reads it, she has read the request.
  await bob.account.send({ to: { direct: a }, body: text('later') });
  await seen(alice, 'later');
  await alice.account.settled();
  await bob.account.settled();
  return { bob, resent: newestOwn(alice).message.resent };
}

it('readers of the first time are sent it again', { timeout: 60_000 }, async () => {
  const { bob, resent } = await askedAgain((alice, bobs) => [alice, bobs]);
  expect(resent).toBe(1);
  await seen(bob, 'spoilt');
});

it('who was no reader asks in vain', { timeout: 60_000 }, async () => {
  const { bob, resent } = await askedAgain((alice) => [alice]);
  expect(resent).toBeUndefined();
  expect(bob.texts()).not.toContain('spoilt');
});

it('among others than the first readers nothing is sent again', { timeout: 60_000 }, async () => {
  const { bob, resent } = await askedAgain((_, bobs) => [bobs]);
  expect(resent).toBeUndefined();
  expect(bob.texts()).not.toContain('spoilt');
});
