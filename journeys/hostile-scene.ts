// The setting of the stories about a hostile operator and hostile members: an airline, people behind the operator's line, and
// the check that a chat still works.
import { type ConversationNotice, type Store } from '@siegel/client';
import { createMemoryStore } from '@siegel/client/node';
import { createEngine, type Engine } from '@siegel/crypto';
import { nodeProvider } from '@siegel/crypto/node';
import type { ConversationId } from '@siegel/protocol/ids';
import type { DeliveredItem, DeliveredMessage } from '@siegel/protocol/relay';
import { type Person, person } from '@siegel/testkit';
import { expect } from 'vitest';
import { type AirlineSystem, airlineSystem } from './airline-system.ts';
import { type AirlineTown, airlineTown } from './airline-town.ts';
import { type OperatorHands, operatorHands } from './operator-hands.ts';
import { type OperatorLine, operatorLine } from './operator-line.ts';
import { messageOf, waitForStatus, waitForText } from './read-webhook.ts';
import { shownText, shows } from './shown-text.ts';

export type Chat = {
  readonly one: Person;
  readonly store: Store<undefined>;
  readonly conversationId: ConversationId;
};

export type HostileScene = AirlineTown & {
  readonly system: AirlineSystem;
  readonly hands: OperatorHands;
  /** the operator's line to every person of these stories; the gateway has its own, untouched */
  readonly line: OperatorLine;
  readonly engine: Engine;
  /** registers under a new number, or opens what the store holds */
  open(store?: Store<undefined>, number?: string): Promise<Person>;
  /** a person who has written to the airline and was answered */
  chat(): Promise<Chat>;
  /** Both ways, each once. */
  expectTalk(chat: Chat): Promise<void>;
};

let words = 0;
/** A sentence nobody said before. */
export const fresh = (text: string): string => {
  words += 1;
  return `${text} (${words})`;
};

export const timesShown = (one: Person, text: string): number =>
  one.received.filter((message) => shownText(message) === text).length;

export const noticesOf = (one: Person): ConversationNotice['notice'][] =>
  one.notices.map(({ notice }) => notice);

/** Until the chat says this line about itself. */
export const noticed = (one: Person, notice: ConversationNotice['notice']): Promise<void> =>
  expect.poll(() => noticesOf(one), { timeout: 30_000 }).toContain(notice);

export const isMessage = (item: DeliveredItem): item is DeliveredMessage =>
  item.type === 'message' && item.class === 'message';

type Parts = Omit<HostileScene, keyof AirlineTown | 'open' | 'chat' | 'expectTalk'> & {
  readonly scene: AirlineTown;
  readonly open: HostileScene['open'];
};

async function beginChat({ scene, system, open }: Parts): Promise<Chat> {
  const store = createMemoryStore();
  const one = await open(store);
  const asked = fresh('Guten Tag!');
  await one.sendTextToNumber(scene.firm.number, asked);
  await waitForText(scene.sink, asked);
  const answer = fresh('Willkommen!');
  const { wamid } = await system.sendText(one.number, answer);
  const { conversationId } = await one.waitFor(shows(answer));
  await waitForStatus(scene.sink, wamid, 'delivered');
  await one.account.settled();
  return { one, store, conversationId };
}

async function expectTalk({ scene, system }: Parts, { one, conversationId }: Chat): Promise<void> {
  const there = fresh('Hin.');
  await system.sendText(one.number, there);
  await one.waitFor(shows(there), { timeoutMs: 90_000 });
  const back = fresh('Zurück.');
  await one.sendText({ conversationId }, back);
  await waitForText(scene.sink, back);
  await one.account.settled();
  expect(timesShown(one, there)).toBe(1);
  const told = scene.sink.received.map(messageOf).filter((each) => each?.text?.body === back);
  expect(new Set(told.map((each) => each?.id)).size).toBe(1);
}

export async function hostileScene(): Promise<HostileScene> {
  const scene = await airlineTown();
  const hands = await operatorHands(scene.town);
  const line = await operatorLine(scene.town.file.relay);
  const people: Person[] = [];
  const open = async (store: Store<undefined> = createMemoryStore(), number?: string) => {
    const one = await person({
      relay: line.url,
      smsInbox: scene.town.file.smsInbox,
      number: number ?? scene.freeNumber(),
      store,
    });
    people.push(one);
    return one;
  };
  const parts: Parts = {
    scene,
    system: airlineSystem(scene.firm),
    hands,
    line,
    engine: createEngine(await nodeProvider()),
    open,
  };
  const { scene: _, ...own } = parts;
  return {
    ...scene,
    ...own,
    chat: () => beginChat(parts),
    expectTalk: (chat) => expectTalk(parts, chat),
    async [Symbol.asyncDispose]() {
      for (const one of people) await one.close();
      await line[Symbol.asyncDispose]();
      await hands[Symbol.asyncDispose]();
      await scene[Symbol.asyncDispose]();
    },
  };
}
