// A person for journeys and benches: an account of the SDK that registers through the town's SMS
// inbox, keeps what it receives and answers.
import {
  type Account,
  type ConversationNotice,
  type Identity,
  openAccount,
  type ReceivedMessage,
  readIdentity,
  type StatusUpdate,
  type Store,
  type Target,
} from '@siegel/client';
import { createMemoryStore, openNodeDevice } from '@siegel/client/node';
import { SiegelError } from '@siegel/protocol/errors';
import { type ClientId, PhoneNumber } from '@siegel/protocol/ids';
import type { BusinessCertificate } from '@siegel/protocol/relay';
import { choiceBody, offersOf } from './choices.ts';
import { fetchCertificate } from './fetch-certificate.ts';
import { registerPerson } from './register-person.ts';
import { countTexts, readCode } from './sms-inbox.ts';

export type PersonOptions = {
  /** address of the relay, or of a proxy before it */
  readonly relay: string;
  readonly smsInbox: string;
  readonly number: string;
  /** in memory unless given; stays the caller's to close */
  readonly store?: Store<undefined>;
  readonly language?: 'de' | 'en';
  /** Called within the storing transaction: throwing keeps the message from being acknowledged. */
  readonly onMessage?: (message: ReceivedMessage) => void;
  readonly onNotice?: (notice: ConversationNotice) => void;
  readonly onStatus?: (status: StatusUpdate) => void;
  readonly report?: (error: unknown) => void;
};

export interface Person {
  readonly number: string;
  readonly account: Account<undefined>;
  /** since this person was opened, own messages from other devices too */
  readonly received: readonly ReceivedMessage[];
  readonly statuses: readonly StatusUpdate[];
  readonly notices: readonly ConversationNotice[];
  /**
   * Resolves with the first message that fits, also one that came before; rejects after the time.
   */
  waitFor(
    fits: (message: ReceivedMessage) => boolean,
    options?: { readonly timeoutMs?: number },
  ): Promise<ReceivedMessage>;
  sendText(to: Target, text: string): Promise<ClientId>;
  /** Finds the firm by its number first. */
  sendTextToNumber(number: string, text: string): Promise<ClientId>;
  /** The button, row or quick reply with this title. */
  tap(message: ReceivedMessage, title: string): Promise<ClientId>;
  /** The firm's certificate, checked on this device; undefined when none holds. */
  certificateOf(message: ReceivedMessage): Promise<BusinessCertificate | undefined>;
  /** Resolves when the message reached this status or a later one; rejects when it failed. */
  waitForStatus(
    clientId: ClientId,
    status: 'sent' | 'delivered' | 'read',
    options?: { readonly timeoutMs?: number },
  ): Promise<void>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const waitMsDefault = 15_000;

type Watched<T> = {
  readonly items: T[];
  add(item: T): void;
  waitFor(fits: (item: T) => boolean, timeoutMs: number | undefined): Promise<T>;
};

/** A list that can be waited on. */
function createWatched<T>(what: string): Watched<T> {
  const items: T[] = [];
  const watchers = new Set<(item: T) => void>();
  return {
    items,
    add(item: T) {
      items.push(item);
      for (const watch of watchers) watch(item);
    },
    waitFor: (fits: (item: T) => boolean, timeoutMs = waitMsDefault) =>
      new Promise<T>((resolve, reject) => {
        const found = items.find(fits);
        if (found !== undefined) {
          resolve(found);
          return;
        }
        const timer = setTimeout(() => {
          watchers.delete(watch);
          reject(new SiegelError('internal', `No such ${what} within ${timeoutMs} ms.`));
        }, timeoutMs);
        const watch = (item: T) => {
          if (!fits(item)) return;
          clearTimeout(timer);
          watchers.delete(watch);
          resolve(item);
        };
        watchers.add(watch);
      }),
  };
}

const order = ['pending', 'sent', 'delivered', 'read', 'played'];
const reached = (status: string, wanted: string): boolean =>
  order.indexOf(status) >= order.indexOf(wanted);

async function waitForStatus(
  statuses: Watched<StatusUpdate>,
  wait: {
    readonly clientId: ClientId;
    readonly wanted: string;
    readonly timeoutMs: number | undefined;
  },
): Promise<void> {
  const { clientId, wanted, timeoutMs } = wait;
  const update = await statuses.waitFor(
    (one) => one.clientId === clientId && (one.status === 'failed' || reached(one.status, wanted)),
    timeoutMs,
  );
  if (update.status === 'failed') {
    throw new SiegelError('relay-refused', `The message failed: ${String(update.failure)}.`);
  }
}

async function targetOf(account: Account<undefined>, number: string): Promise<Target> {
  const found = await account.lookUp(PhoneNumber.parse(number));
  if (found.outcome === 'business' && found.phoneNumberId !== undefined) {
    return { business: found.phoneNumberId };
  }
  if (found.outcome === 'person') return { direct: found.contact.accountId };
  throw new SiegelError('not-found', `Look-up: ${found.outcome}.`);
}

/** Whoever has an account opens it also while the relay is away. */
async function identityOf(
  { relay, smsInbox, language }: PersonOptions,
  number: PhoneNumber,
  store: Store<undefined>,
): Promise<Identity> {
  const known = await readIdentity(store);
  if (known !== undefined) return known;
  const before = await countTexts(smsInbox, number);
  return registerPerson({
    relay,
    store,
    number,
    readCode: () => readCode(smsInbox, number, before),
    ...(language === undefined ? {} : { language }),
  });
}

/** Registers when the store holds no account yet, then opens it. */
export async function person(options: PersonOptions): Promise<Person> {
  const number = PhoneNumber.parse(options.number);
  const store = options.store ?? createMemoryStore();
  const identity = await identityOf(options, number, store);
  const received = createWatched<ReceivedMessage>('message');
  const statuses = createWatched<StatusUpdate>('status');
  const notices: ConversationNotice[] = [];
  const device = await openNodeDevice({ url: options.relay, store, token: identity.deviceToken });
  const account = await openAccount<undefined>({
    ...device,
    ...device.environment,
    store,
    ...(options.report === undefined ? {} : { report: options.report }),
    handler: {
      async message(message) {
        options.onMessage?.(message);
        received.add(message);
      },
      async status(update) {
        options.onStatus?.(update);
        statuses.add(update);
      },
      async notice(notice) {
        options.onNotice?.(notice);
        notices.push(notice);
      },
    },
  });
  const sendText = async (to: Target, text: string) =>
    (await account.send({ to, body: { type: 'text', text } })).clientId;
  const close = () => account.close();
  return {
    number,
    account,
    received: received.items,
    statuses: statuses.items,
    notices,
    waitFor: (fits, wait = {}) => received.waitFor(fits, wait.timeoutMs),
    sendText,
    sendTextToNumber: async (to, text) => sendText(await targetOf(account, to), text),
    async tap(message, title) {
      const offer = offersOf(message).find((one) => one.title === title);
      if (offer === undefined) throw new SiegelError('not-found', `There is no ${title} to tap.`);
      const { clientId } = await account.send({
        to: { conversationId: message.conversationId },
        body: choiceBody(offer),
        inReplyTo: message.messageId,
      });
      return clientId;
    },
    async certificateOf({ sender, phoneNumberId }) {
      const contact = await account.contact(sender.accountId);
      if (contact === undefined || phoneNumberId === undefined) return undefined;
      const { relay } = options;
      const token = identity.deviceToken;
      return fetchCertificate({ relay, token, store, contact, phoneNumberId });
    },
    waitForStatus: (clientId, wanted, wait = {}) =>
      waitForStatus(statuses, { clientId, wanted, timeoutMs: wait.timeoutMs }),
    close,
    [Symbol.asyncDispose]: close,
  };
}
