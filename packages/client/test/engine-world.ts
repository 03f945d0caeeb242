// People and firms with real keys at a real relay on a database of its own; stores in memory, so that accounts can crash and
// open again.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createEngine } from '@siegel/crypto';
import { nodeProvider } from '@siegel/crypto/node';
import { testDatabase } from '@siegel/database/testing';
import type { ConversationId, NumericId } from '@siegel/protocol/ids';
import { bucketOf, PhoneNumber } from '@siegel/protocol/ids';
import {
  type AnswerOf,
  type Endpoint,
  getConversation,
  type MemberKeys,
  type RequestOf,
  registerBusiness,
} from '@siegel/protocol/relay';
import { startRelay } from '@siegel/relay';
import { continueDeviceLink, openDeviceLink } from '../src/device-linking.ts';
import { enrolBusiness } from '../src/enrolment.ts';
import { type Identity, readIdentity } from '../src/identity.ts';
import {
  type Account,
  type AccountOptions,
  type ConversationNotice,
  openAccount,
  type ReceivedMessage,
  type StatusUpdate,
  type Store,
} from '../src/index.ts';
import { continueJoining, joinDeviceLink } from '../src/link-joining.ts';
import { nodeEnvironment, nodeNetwork } from '../src/node.ts';
import { finishRegistration, proveNumber, startRegistration } from '../src/registration.ts';
import { createRelayConnection, type RelayConnection } from '../src/relay-connection.ts';
import { createMemoryShelf, createMemoryStore, type MemoryShelf } from '../src/stores/memory.ts';

/** What a handler does is undone with its transaction: it counts only once the store has committed. */
export type Told = { readonly undo: (() => void)[] };

export type Wrap = {
  readonly store?: (store: Store<undefined>) => Store<undefined>;
  readonly connection?: (connection: RelayConnection) => RelayConnection;
};

export type TestDevice = {
  readonly identity: Identity;
  readonly shelf: MemoryShelf;
  readonly received: ReceivedMessage[];
  readonly statuses: StatusUpdate[];
  readonly notices: ConversationNotice[];
  readonly reports: unknown[];
  /** texts in the order in which they were told */
  readonly texts: () => string[];
  account: Account<Told>;
  open(wrap?: Wrap): Promise<Account<Told>>;
};

/** Gives the handler a transaction whose effects a failed commit takes back. */
function undoing(store: Store<undefined>): Store<Told> {
  return {
    ...store,
    async commit(writes, within) {
      const told: Told = { undo: [] };
      try {
        await store.commit(writes, () => within?.(told) ?? Promise.resolve());
      } catch (error) {
        // A crash after the commit leaves what was told, and what was stored.
        if (!(error instanceof CrashedAfter)) for (const undo of told.undo.reverse()) undo();
        throw error;
      }
    },
  };
}

export class CrashedAfter extends Error {}

/** A store whose n-th commit is the last thing that happens: before it, or just after it. */
export function crashing(at: number, when: 'before' | 'after', crashed: () => void) {
  let count = 0;
  let dead = false;
  const fail = () => {
    if (dead) throw new Error('the process is dead');
  };
  return (store: Store<undefined>): Store<undefined> => ({
    async get(collection, key) {
      fail();
      return store.get(collection, key);
    },
    async list(collection, range) {
      fail();
      return store.list(collection, range);
    },
    async commit(writes, within) {
      fail();
      count += 1;
      if (count !== at) return store.commit(writes, within);
      dead = true;
      crashed();
      if (when === 'before') throw new Error('crashed before the commit');
      await store.commit(writes, within);
      throw new CrashedAfter('crashed after the commit');
    },
    close: () => store.close(),
  });
}

export type World = Awaited<ReturnType<typeof createWorld>>;

const migrations = fileURLToPath(new URL('../../relay/migrations', import.meta.url));
let numbers = 0;
const freshNumber = () => {
  numbers += 1;
  return PhoneNumber.parse(`+4930${String(23_125_000 + numbers)}`);
};

export async function createWorld() {
  const clock = { offset: 0 };
  const now = () => Date.now() + clock.offset;
  const test = await testDatabase({ migrations });
  const folder = await mkdtemp(join(tmpdir(), 'siegel-client-'));
  const operatorToken = randomBytes(32).toString('base64url');
  const relay = await startRelay(
    {
      port: 0,
      town: true,
      operatorToken,
      keysFile: join(folder, 'keys.json'),
      blobFolder: join(folder, 'blobs'),
      logLevel: 'silent',
    },
    { database: test.database, now },
  );
  const provider = await nodeProvider();
  const engine = createEngine(provider);
  const environment = { ...nodeEnvironment, now };
  const opened: TestDevice[] = [];

  const connect = (token?: string): RelayConnection =>
    createRelayConnection({
      ...environment,
      ...nodeNetwork,
      url: relay.url,
      ...(token === undefined ? {} : { token }),
    });
  const contextOf = (shelf: MemoryShelf, token?: string) => ({
    connection: connect(token),
    store: createMemoryStore(shelf),
    engine,
    provider,
    environment,
  });

  async function deviceOf(shelf: MemoryShelf): Promise<TestDevice> {
    const identity = await readIdentity(createMemoryStore(shelf));
    if (identity === undefined) throw new Error('no identity');
    const device: TestDevice = {
      identity,
      shelf,
      received: [],
      statuses: [],
      notices: [],
      reports: [],
      texts: () => device.received.flatMap(({ content }) => textOf(content.body)),
      account: undefined as never,
      async open(wrap = {}) {
        const store = createMemoryStore(shelf);
        const connection = connect(identity.deviceToken);
        const tell =
          <Each>(list: Each[]) =>
          async (each: Each, told: Told) => {
            told.undo.push(() => list.splice(list.lastIndexOf(each), 1));
            list.push(each);
          };
        const options: AccountOptions<Told> = {
          ...environment,
          store: undoing(wrap.store?.(store) ?? store),
          connection: wrap.connection?.(connection) ?? connection,
          provider,
          engine,
          handler: {
            message: tell(device.received),
            status: tell(device.statuses),
            notice: tell(device.notices),
          },
          report: (error) => device.reports.push(error),
        };
        device.account = await openAccount(options);
        return device.account;
      },
    };
    opened.push(device);
    await device.open();
    return device;
  }

  async function person(number = freshNumber()): Promise<TestDevice> {
    const shelf = createMemoryShelf();
    const context = contextOf(shelf);
    await startRegistration(context, { number });
    const query = `?number=${encodeURIComponent(number)}`;
    const inbox = await fetch(`${relay.url}/sms-inbox${query}`);
    const [sms] = (await inbox.json()) as { text: string }[];
    await proveNumber(context, /[0-9]{6}/.exec(sms?.text ?? '')?.[0] ?? '');
    const finished = await finishRegistration(context);
    if (finished.outcome !== 'registered') throw new Error(finished.outcome);
    return deviceOf(shelf);
  }

  /** The operator's own calls, by its token. */
  const operate = <E extends Endpoint>(endpoint: E, request: RequestOf<E>): Promise<AnswerOf<E>> =>
    connect(operatorToken).call(endpoint, request);

  async function firm(): Promise<{ gateway: TestDevice; number: NumericId; wabaId: NumericId }> {
    const registered = await operate(registerBusiness, {
      legalName: 'Bakery GmbH',
      country: 'DE',
      evidence: 'register-extract',
      level: 'badge',
      numbers: [{ number: freshNumber(), displayName: 'Bakery' }],
    });
    if (registered.outcome !== 'registered') throw new Error(registered.outcome);
    const shelf = createMemoryShelf();
    const enrolled = await enrolBusiness(contextOf(shelf), {
      code: registered.enrolmentCode,
      role: 'gateway',
      keysHostedBy: 'Bakery GmbH',
    });
    if (enrolled.outcome !== 'enrolled') throw new Error(enrolled.outcome);
    const [number] = registered.business.numbers;
    const { phoneNumberId, wabaId } = number!;
    return { gateway: await deviceOf(shelf), number: phoneNumberId, wabaId };
  }

  /** A further device, by a code shown on the first. */
  async function link(main: TestDevice): Promise<TestDevice> {
    const mainContext = contextOf(main.shelf, main.identity.deviceToken);
    const link = await openDeviceLink(mainContext, main.identity);
    if (link.outcome !== 'opened') throw new Error(link.outcome);
    const shelf = createMemoryShelf();
    const context = contextOf(shelf);
    await joinDeviceLink(context, link.code);
    const linked = await continueDeviceLink(mainContext, main.identity);
    if (linked.outcome !== 'linked') throw new Error(linked.outcome);
    const joined = await continueJoining(context);
    if (joined.outcome !== 'linked') throw new Error(joined.outcome);
    return deviceOf(shelf);
  }

  /** What the relay says of a conversation to one of its members. */
  async function stateOf({ identity }: TestDevice, conversationId: ConversationId) {
    const answer = await connect(identity.deviceToken).call(getConversation, { conversationId });
    if (answer.outcome !== 'conversation') throw new Error(answer.outcome);
    return answer.state;
  }

  /** The operator writes somebody into its books as a member of a conversation. */
  async function seat(conversationId: ConversationId, { identity }: TestDevice): Promise<void> {
    const { accountId } = identity;
    await test.database.query(
      `INSERT INTO members (bucket, conversation_id, account_id, kind, role)
       VALUES ($1, $2, $3, 'person', 'member') ON CONFLICT DO NOTHING`,
      [bucketOf(conversationId), conversationId, accountId],
    );
    await test.database.query(
      `INSERT INTO account_conversations (bucket, account_id, conversation_id)
       VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
      [bucketOf(accountId), accountId, conversationId],
    );
  }

  /** And takes the line out of its books again. */
  async function unseat(conversationId: ConversationId, { identity }: TestDevice): Promise<void> {
    await test.database.query(
      'DELETE FROM members WHERE bucket = $1 AND conversation_id = $2 AND account_id = $3',
      [bucketOf(conversationId), conversationId, identity.accountId],
    );
  }

  /** What the operator can claim of anybody at any time: the signed list and a key package. */
  async function keysOf({ identity }: TestDevice): Promise<MemberKeys> {
    const { accountId } = identity;
    const of = async <Row extends object>(sql: string): Promise<Row> => {
      const { rows } = await test.database.query<Row>(sql, [accountId]);
      return rows[0]!;
    };
    const { key_package } = await of<{ key_package: Buffer }>(
      'SELECT key_package FROM key_packages WHERE account_id = $1 LIMIT 1',
    );
    const { device_list } = await of<{ device_list: string }>(
      'SELECT device_list FROM accounts WHERE account_id = $1',
    );
    const keyPackage = key_package.toString('base64url');
    const deviceId = identity.deviceId;
    return {
      accountId,
      deviceList: device_list,
      keyPackages: [{ deviceId, keyPackage, lastResort: false }],
    };
  }

  return {
    ...{ relay, provider, engine, clock, now, connect, contextOf, operate },
    ...{ person, firm, link, stateOf, seat, unseat, keysOf },
    /** Closes all accounts; the relay goes on. */
    async closeAccounts() {
      await Promise.all(opened.splice(0).map((device) => device.account.close()));
    },
    async close() {
      await Promise.all(opened.splice(0).map((device) => device.account.close()));
      await relay.close();
      await test.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const textOf = (body: ReceivedMessage['content']['body']): string[] =>
  body.type === 'text' ? [body.text] : [];

/** Waits for a condition, with a bound. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  what: () => unknown,
): Promise<void> {
  const end = performance.now() + 25_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited in vain: ${JSON.stringify(what())}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const text = (value: string) => ({ type: 'text', text: value }) as const;

/** Until a device was told these texts. */
export const seen = (device: TestDevice, ...texts: readonly string[]): Promise<void> =>
  eventually(
    () => texts.every((each) => device.texts().includes(each)),
    () => [texts, device.texts(), device.notices, device.reports.map(String)],
  );

export const noticed = (
  device: TestDevice,
  notice: ConversationNotice['notice'],
  times = 1,
): Promise<void> =>
  eventually(
    () => device.notices.filter((each) => each.notice === notice).length >= times,
    () => [notice, device.notices, device.reports.map(String)],
  );

/** Until a device holds keys of so many conversations. */
export const joined = (device: TestDevice, count: number): Promise<void> =>
  eventually(
    async () => {
      const all = await device.account.conversations();
      return all.filter((each) => each.joined).length >= count;
    },
    () => device.reports.map(String),
  );
