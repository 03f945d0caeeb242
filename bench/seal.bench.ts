// The engine alone, one thread, Node's provider: how many messages a core seals and opens, and what
// a first contact costs. Beside it bare ts-mls in the same run, and the figures of the library
// comparison, which were not measured here.

import { randomBytes } from 'node:crypto';
import {
  type CryptoProvider,
  createEngine,
  type Engine,
  type GroupContext,
  type Session,
} from '@siegel/crypto';
import { nodeProvider } from '@siegel/crypto/node';
import type { EnvelopeHeader } from '@siegel/protocol/relay';
import { createBarePair } from './bare-mls.ts';
import { measurePerCoreSecond } from './measure.ts';
import { must } from './must.ts';
import type { Party } from './people.ts';
import {
  authorizeAmong,
  createParty,
  messageHeader,
  newClientId,
  newConversationId,
} from './people.ts';
import { type Bench, runBench } from './record.ts';

const now = Date.now();
const messagesAtOnce = 300;
const contactsAtOnce = 30;
const coldSessions = 60;
const coldRounds = 5;

type Sealed = { readonly mls: Uint8Array; readonly header: EnvelopeHeader; readonly epoch: number };

/** Someone who was never written to: a key package waits at the relay. */
type Stranger = {
  readonly person: Party;
  readonly groupContext: GroupContext;
  readonly keyPackage: { readonly publicBytes: Uint8Array; readonly privateBytes: Uint8Array };
};

type Contacted = Stranger & { readonly session: Session; readonly welcome: Uint8Array } & Sealed;

const newKeyPackage = (engine: Engine, { identity }: Party) =>
  engine.newKeyPackage({ identity, now, lifetimeDays: 60, lastResort: false });

async function createStranger(engine: Engine): Promise<Stranger> {
  const person = await createParty(now);
  const groupContext = { conversationId: newConversationId(), generation: 0 };
  return { person, groupContext, keyPackage: await newKeyPackage(engine, person) };
}

const createStrangers = async (engine: Engine, count = contactsAtOnce): Promise<Stranger[]> =>
  Promise.all(Array.from({ length: count }, () => createStranger(engine)));

/** Found, Welcome, first message, as a gateway does it for a new person. */
async function contact(engine: Engine, firm: Party, stranger: Stranger): Promise<Contacted> {
  const { groupContext, keyPackage, person } = stranger;
  const founded = must(
    await engine.foundGroup({
      groupContext,
      identity: firm.identity,
      now,
      keyPackages: [keyPackage.publicBytes],
      authorize: authorizeAmong(firm, person),
    }),
    'founded',
  );
  const header = messageHeader(groupContext);
  const content = randomBytes(200);
  const sealed = must(await engine.seal(founded.session, { header, content, now }), 'sealed');
  return { ...stranger, ...sealed, welcome: founded.welcome! };
}

/** Welcome and first message, as the person's device takes them. */
async function join(engine: Engine, firm: Party, contacted: Contacted): Promise<Session> {
  const { groupContext, keyPackage, person, welcome } = contacted;
  const joined = must(
    await engine.joinByWelcome({
      groupContext,
      welcome,
      keyPackage: keyPackage.privateBytes,
      authorize: authorizeAmong(firm, person),
    }),
    'joined',
  );
  return (await openOne(engine, joined.session, { firm, sealed: contacted })).session;
}

const openOne = async (
  engine: Engine,
  session: Session,
  { firm, sealed }: { readonly firm: Party; readonly sealed: Sealed },
) => must(await engine.open(session, { ...sealed, sender: firm, now }), 'opened');

async function measureContacts(bench: Bench, engine: Engine, firm: Party): Promise<void> {
  await measurePerCoreSecond(bench, {
    metric: 'key packages made',
    prepare: () => createParty(now),
    work: async (party) => {
      for (let made = 0; made < 100; made += 1) await newKeyPackage(engine, party);
      return 100;
    },
  });
  await measurePerCoreSecond(bench, {
    metric: 'first contact, sender (found, welcome, first message)',
    prepare: () => createStrangers(engine),
    work: async (strangers) => {
      for (const stranger of strangers) await contact(engine, firm, stranger);
      return strangers.length;
    },
  });
  await measurePerCoreSecond(bench, {
    metric: 'first contact, receiver (join, first message)',
    prepare: async () => {
      const all: Contacted[] = [];
      for (const one of await createStrangers(engine)) all.push(await contact(engine, firm, one));
      return all;
    },
    work: async (all) => {
      for (const contacted of all) await join(engine, firm, contacted);
      return all.length;
    },
  });
}

type Chat = { readonly firm: Party; readonly sender: Session; readonly reader: Session };

async function createChat(engine: Engine, firm: Party): Promise<Chat & Contacted> {
  const contacted = await contact(engine, firm, await createStranger(engine));
  const reader = await join(engine, firm, contacted);
  return { ...contacted, firm, sender: contacted.session, reader };
}

async function sealMany(
  engine: Engine,
  { sender }: Chat,
  messages: readonly Message[],
): Promise<Sealed[]> {
  let session = sender;
  const all: Sealed[] = [];
  for (const { header, content } of messages) {
    const sealed = must(await engine.seal(session, { header, content, now }), 'sealed');
    session = sealed.session;
    all.push(sealed);
  }
  return all;
}

type Message = {
  readonly header: Omit<EnvelopeHeader, 'commitment'>;
  readonly content: Uint8Array;
};

const messagesOf = ({ groupContext }: Contacted, bytes: number): Message[] =>
  contentsOf(bytes).map((content) => ({ header: messageHeader(groupContext), content }));

const contentsOf = (bytes: number): Uint8Array[] =>
  Array.from({ length: messagesAtOnce }, () => randomBytes(bytes));

const sizes = [
  ['200 B', 200],
  ['1 KB', 1024],
] as const;
type Size = (typeof sizes)[number];

async function measureMessages(
  bench: Bench,
  { engine, firm }: { readonly engine: Engine; readonly firm: Party },
  [size, bytes]: Size,
): Promise<void> {
  await measurePerCoreSecond(bench, {
    metric: `seal ${size}`,
    prepare: async () => {
      const chat = await createChat(engine, firm);
      return { chat, messages: messagesOf(chat, bytes) };
    },
    work: async ({ chat, messages }) => (await sealMany(engine, chat, messages)).length,
  });
  await measurePerCoreSecond(bench, {
    metric: `open ${size}`,
    prepare: async () => {
      const chat = await createChat(engine, firm);
      return { chat, all: await sealMany(engine, chat, messagesOf(chat, bytes)) };
    },
    work: async ({ chat, all }) => {
      let session = chat.reader;
      for (const sealed of all)
        session = (await openOne(engine, session, { firm, sealed })).session;
      return all.length;
    },
  });
}

/**
 * Every message finds its session in the store and leaves it there, as when a firm writes to all
 * its customers once.
 */
async function measureCold(bench: Bench, engine: Engine, firm: Party): Promise<void> {
  const chats: (Chat & Contacted)[] = [];
  while (chats.length < coldSessions) chats.push(await createChat(engine, firm));
  const content = randomBytes(200);
  await measurePerCoreSecond(bench, {
    metric: 'cold seal 200 B (decode session, seal, encode)',
    prepare: () => chats.map((chat) => ({ ...chat, stored: engine.encodeSession(chat.sender) })),
    work: async (stored) => {
      for (let round = 0; round < coldRounds; round += 1) {
        for (const chat of stored) {
          const session = engine.decodeSession(chat.stored);
          const header = messageHeader(chat.groupContext);
          const sealed = must(await engine.seal(session, { header, content, now }), 'sealed');
          chat.stored = engine.encodeSession(sealed.session);
        }
      }
      return stored.length * coldRounds;
    },
  });
  const [chat] = chats;
  await measurePerCoreSecond(bench, {
    metric: 'session encoded and decoded',
    prepare: () => chat!.sender,
    work: async (session) => {
      for (let count = 0; count < messagesAtOnce; count += 1) {
        engine.decodeSession(engine.encodeSession(session));
      }
      return messagesAtOnce;
    },
  });
}

/** A refresh of the sender's keys, which both sides do every so many messages. */
async function measureCommits(bench: Bench, engine: Engine, firm: Party): Promise<void> {
  const refresh = (chat: Chat & Contacted) =>
    engine.commitChanges(chat.sender, {
      clientId: newClientId(),
      authorize: authorizeAmong(firm, chat.person),
      now,
    });
  const prepare = async () => {
    const chats: (Chat & Contacted)[] = [];
    while (chats.length < contactsAtOnce) chats.push(await createChat(engine, firm));
    return chats;
  };
  await measurePerCoreSecond(bench, {
    metric: 'path commit made',
    prepare,
    work: async (chats) => {
      for (const chat of chats) must(await refresh(chat), 'committed');
      return chats.length;
    },
  });
  await measurePerCoreSecond(bench, {
    metric: 'path commit adopted',
    prepare: async () => {
      const all = [];
      for (const chat of await prepare()) {
        all.push({ chat, made: must(await refresh(chat), 'committed') });
      }
      return all;
    },
    work: async (all) => {
      for (const { chat, made } of all) {
        const { commit, header, epoch } = made;
        const authorize = authorizeAmong(firm, chat.person);
        const envelope = { commit, header, epoch, sender: firm, authorize };
        must(await engine.adoptCommit(chat.reader, envelope), 'adopted');
      }
      return all.length;
    },
  });
}

async function measureBare(
  bench: Bench,
  provider: CryptoProvider,
  [size, bytes]: Size,
): Promise<void> {
  const subject = 'bare ts-mls 1.6.4, same provider';
  await measurePerCoreSecond(bench, {
    subject,
    metric: `seal ${size}`,
    prepare: async () => ({ pair: await createBarePair(provider), contents: contentsOf(bytes) }),
    work: async ({ pair, contents }) => {
      for (const content of contents) await pair.seal(content);
      return contents.length;
    },
  });
  await measurePerCoreSecond(bench, {
    subject,
    metric: `open ${size}`,
    prepare: async () => {
      const pair = await createBarePair(provider);
      const all: Uint8Array[] = [];
      for (const content of contentsOf(bytes)) all.push(await pair.seal(content));
      return { pair, all };
    },
    work: async ({ pair, all }) => {
      for (const message of all) await pair.open(message);
      return all.length;
    },
  });
}

/**
 * e2ee.md §4, column "ts-mls 1.6.4 lite": the same library and the same kind of provider, another
 * day, other machines' load.
 */
const reference: readonly (readonly [metric: string, from: number, to: number])[] = [
  ['key packages made', 930, 1600],
  ['first contact, sender (found, welcome, first message)', 184, 346],
  ['first contact, receiver (join, first message)', 185, 358],
  ['seal 200 B', 5100, 7000],
  ['open 200 B', 3700, 4500],
  ['seal 1 KB', 5300, 8200],
  ['open 1 KB', 4000, 5600],
  ['cold seal 200 B (decode session, seal, encode)', 2300, 2900],
  ['path commit made', 126, 230],
  ['path commit adopted', 183, 297],
];

function quoteReference(bench: Bench): void {
  for (const [metric, from, to] of reference) {
    bench.quoted({
      subject: 'reference: ts-mls 1.6.4 lite',
      metric,
      unit: 'per core-second',
      range: [from, to],
      note: 'taken from the library comparison of 22 Nov 2026 (e2ee.md §4), not measured in this run',
    });
  }
}

await runBench('seal', async (bench) => {
  const provider = await nodeProvider();
  const engine = createEngine(provider);
  const firm = await createParty(now);
  await measureContacts(bench, engine, firm);
  // Side by side, so that both meet the same machine.
  for (const size of sizes) {
    await measureMessages(bench, { engine, firm }, size);
    await measureBare(bench, provider, size);
  }
  await measureCold(bench, engine, firm);
  await measureCommits(bench, engine, firm);
  quoteReference(bench);
});
