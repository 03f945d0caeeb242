// What the gateway's tests share: an account that stores durably and lets the test play the relay, a webhook sink with a
// socket of its own, and a gateway around both on a real database.

import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { AccountHandler, Outgoing, ReceivedMessage, StatusUpdate } from '@siegel/client';
import type { Database, Queryable } from '@siegel/database';
import { testDatabase } from '@siegel/database/testing';
import { type Attachment, type Body, encodeContent } from '@siegel/protocol/content';
import {
  AccountId,
  ClientId,
  ConversationId,
  DeviceId,
  MessageId,
  NumericId,
  PhoneNumber,
} from '@siegel/protocol/ids';
import type { BusinessProfile, TemplateObject } from '@siegel/protocol/relay';
import { assembleGateway, type Gateway, type OpenedAccount } from '../src/assemble-gateway.ts';
import type { GatewayConfig } from '../src/config.ts';
import type { Attachments, Clock, Log, Templates } from '../src/gateway-context.ts';
import type { Resolve } from '../src/outgoing/outgoing-requests.ts';
import { createPostgresStore } from '../src/store/postgres-store.ts';
import type { TemplateEntry } from '../src/templates/template-entry.ts';

export const migrations = fileURLToPath(new URL('../migrations', import.meta.url));
export const gatewayDatabase = () => testDatabase({ migrations });

export const numbers = {
  airline: { id: NumericId.parse('106540352242922'), number: PhoneNumber.parse('+4930123456') },
  second: { id: NumericId.parse('106540352242933'), number: PhoneNumber.parse('+4930654321') },
};
export const wabaId = NumericId.parse('102290129340398');
export const business: BusinessProfile = {
  accountId: AccountId.parse('0b3f8a10-52a0-4e8e-9c3e-2d1f7a6b5c4d'),
  legalName: 'Nordwind Air GmbH',
  country: 'DE',
  numbers: Object.values(numbers).map(({ id, number }) => ({
    phoneNumberId: id,
    number,
    displayName: 'Nordwind Air',
    wabaId,
  })),
};
export const appSecret = 'an app secret that only tests know';
export const token = 'EAAG-test-token-with-every-permission';
export const verifyToken = 'a verify token';

const uuid = () => {
  const hex = randomBytes(16).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
};
export const newAccountId = () => AccountId.parse(uuid());
export const newConversationId = () => ConversationId.parse(uuid());
export const newClientId = () => ClientId.parse(uuid());
export const newMessageId = () => MessageId.parse(randomBytes(32).toString('base64url'));

/** Waits for a condition, never for a time; `what` names it when it does not come. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 10_000,
): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export type Received = {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
};

/** A server that takes webhooks; `answer` decides what each gets. */
export async function startSink(answer?: (received: Received, index: number) => number) {
  const received: Received[] = [];
  const held: (() => void)[] = [];
  const state = { hold: false, answer: answer ?? (() => 200) };
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://sink');
    const challenge = url.searchParams.get('hub.challenge');
    if (request.method === 'GET' && challenge !== null) {
      const right = url.searchParams.get('hub.verify_token') === verifyToken;
      response.writeHead(right ? 200 : 403).end(right ? challenge : 'no');
      return;
    }
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts);
      const one = { path: url.pathname, headers: request.headers, body, text: body.toString() };
      received.push(one);
      const status = state.answer(one, received.length - 1);
      const reply = () => {
        if (status === 302) response.setHeader('location', '/elsewhere');
        response.writeHead(status).end('thanks');
      };
      if (state.hold) held.push(reply);
      else reply();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/webhook`,
    port,
    received,
    state,
    held,
    events: () => received.map(({ text }) => JSON.parse(text).entry[0].changes[0].value),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
export type Sink = Awaited<ReturnType<typeof startSink>>;

/** An account at rest: what it is told to send is durable in the real store; the test says what the relay answers. */
export type TestAccount = {
  readonly sent: (Outgoing & { clientId: ClientId })[];
  readonly readMarks: { conversationId: string; messageId: string }[];
  readonly typing: string[];
  /** as if a person's message had been opened */
  receive(message: Partial<ReceivedMessage> & { body: Body }): Promise<ReceivedMessage>;
  tell(update: StatusUpdate): Promise<void>;
  readonly account: OpenedAccount;
};

export function createTestAccount(
  database: Database,
  handler: AccountHandler<Queryable>,
  committed: () => void,
): TestAccount {
  const store = createPostgresStore({ database, onCommit: committed });
  const sent: TestAccount['sent'] = [];
  const readMarks: TestAccount['readMarks'] = [];
  const typing: string[] = [];
  return {
    sent,
    readMarks,
    typing,
    async receive({ body, ...rest }) {
      const message: ReceivedMessage = {
        conversationId: newConversationId(),
        conversation: 'business',
        phoneNumberId: numbers.airline.id,
        messageId: newMessageId(),
        clientId: newClientId(),
        sender: { accountId: newAccountId(), deviceId: DeviceId.parse(1) },
        own: false,
        acceptedAt: 1_770_000_000_000,
        ...rest,
        content: { salt: new Uint8Array(16), ...rest.content, body },
      };
      await store.commit([], (transaction) => handler.message(message, transaction));
      return message;
    },
    tell: (update) => store.commit([], (transaction) => handler.status(update, transaction)),
    account: {
      async send(outgoing, within) {
        const clientId = outgoing.clientId ?? newClientId();
        // What cannot be sealed is refused here, as the real account does.
        encodeContent({ salt: new Uint8Array(16), body: outgoing.body });
        const write = { collection: 'outbox', key: clientId, value: new Uint8Array(1) } as const;
        await store.commit([write], async (transaction) => within?.(transaction, clientId));
        sent.push({ ...outgoing, clientId });
        return { clientId };
      },
      async markRead(conversationId, messageId) {
        readMarks.push({ conversationId, messageId });
      },
      sendTyping: (conversationId) => void typing.push(conversationId),
      close: () => store.close(),
    },
  };
}

/** Blobs in memory: sealing keeps the bytes under a fresh id. */
export function createTestAttachments() {
  const blobs = new Map<string, Uint8Array>();
  let failing: 'no' | 'gone' | 'away' = 'no';
  const attachments: Attachments = {
    async seal({ bytes, media, contentType, filename }) {
      const blobId = randomBytes(16).toString('base64url');
      blobs.set(blobId, bytes);
      const attachment: Attachment = {
        type: 'attachment',
        media,
        contentType,
        blobId,
        blobSecret: randomBytes(16).toString('base64url'),
        bytes: bytes.length,
        sealedBytes: bytes.length + 1,
        key: new Uint8Array(32),
        sealedSha256: createHash('sha256').update(bytes).digest(),
        ...(filename === undefined ? {} : { filename }),
      };
      return { outcome: 'sealed', attachment };
    },
    async open({ blobId }) {
      if (failing === 'away') throw new Error('the relay is away');
      const bytes = failing === 'gone' ? undefined : blobs.get(blobId);
      return bytes === undefined ? { outcome: 'gone' } : { outcome: 'opened', bytes };
    },
  };
  return { attachments, blobs, fail: (how: typeof failing) => void (failing = how) };
}

export function createTestTemplates(entries: TemplateEntry[]): Templates {
  return {
    find: async (waba, name, language) =>
      entries.find(
        ({ object }) =>
          object.wabaId === waba && object.name === name && object.language === language,
      ),
    byId: async (id) => entries.find(({ templateId }) => templateId === id),
    list: async (waba) => entries.filter(({ object }) => object.wabaId === waba),
    async submit(object) {
      const templateId = NumericId.parse(String(7_000_000 + entries.length));
      const entry: TemplateEntry = {
        templateId,
        hash: createHash('sha256').update(JSON.stringify(object)).digest(),
        object,
        status: 'pending',
      };
      entries.push(entry);
      return { outcome: 'submitted', entry };
    },
  };
}

export function templateEntry(
  object: Partial<TemplateObject> & Pick<TemplateObject, 'name' | 'components'>,
  status: TemplateEntry['status'] = 'approved',
): TemplateEntry {
  return {
    templateId: NumericId.parse('594425479261596'),
    hash: new Uint8Array(32).fill(7),
    status,
    object: {
      v: 1,
      business: business.accountId,
      wabaId,
      language: 'de',
      category: 'utility',
      parameterFormat: 'positional',
      ...object,
    },
  };
}

export const textParameter = (name: string, charsMax = 60) => ({
  name,
  type: 'text' as const,
  charsMax,
  example: 'x',
});

export const quietLog: Log = { info() {}, warn() {}, error() {} };

/** A clock the test moves; what is due runs when it is moved. */
export function createTestClock(start = 1_770_000_000_000) {
  let time = start;
  let timers: { at: number; run: () => void }[] = [];
  const clock: Clock = {
    now: () => time,
    random: (count) => randomBytes(count),
    schedule(run, milliseconds) {
      const timer = { at: time + milliseconds, run };
      timers.push(timer);
      return () => void (timers = timers.filter((one) => one !== timer));
    },
  };
  return {
    clock,
    /** due timers run in their order, then the clock stands at its new time */
    advance(milliseconds: number) {
      const end = time + milliseconds;
      for (;;) {
        const next = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        timers = timers.filter((one) => one !== next);
        time = Math.max(time, next.at);
        next.run();
      }
      time = end;
    },
  };
}

export const testConfig = (databaseUrl: string): GatewayConfig => ({
  databaseUrl,
  relayUrl: 'http://127.0.0.1:1',
  host: '127.0.0.1',
  port: 0,
  appId: '670843887433847',
  appSecret,
  appName: 'Test',
  tokens: [{ token }],
  allowedAddresses: ['loopback'],
  keysHostedBy: 'the tests',
  logLevel: 'silent',
});

export type TestGateway = Awaited<ReturnType<typeof startTestGateway>>;

export async function startTestGateway(options: {
  database: Database;
  config?: Partial<GatewayConfig>;
  templates?: TemplateEntry[];
  resolve?: Resolve;
  log?: Log;
}) {
  const { clock, advance } = createTestClock();
  const media = createTestAttachments();
  let account: TestAccount | undefined;
  const state = { mayWrite: true };
  const gateway: Gateway = await assembleGateway({
    config: { ...testConfig(''), ...options.config },
    database: options.database,
    business,
    clock,
    log: options.log ?? quietLog,
    attachments: media.attachments,
    templates: createTestTemplates(options.templates ?? []),
    mayWrite: () => state.mayWrite,
    ...(options.resolve === undefined ? {} : { resolve: options.resolve }),
    async openAccount(handler, committed) {
      account = createTestAccount(options.database, handler, committed);
      return account.account;
    },
  });
  const call = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = { authorization: `Bearer ${token}` },
  ) => {
    const response = await fetch(`${gateway.url}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    let json: any;
    try {
      json = JSON.parse(text);
    } catch {
      json = undefined;
    }
    return { status: response.status, headers: response.headers, text, json };
  };
  return {
    gateway,
    url: gateway.url,
    account: account!,
    media,
    clock,
    advance,
    state,
    call,
    send: (message: object, number: string = numbers.airline.id) =>
      call('POST', `/v25.0/${number}/messages`, { messaging_product: 'whatsapp', ...message }),
    close: gateway.close,
  };
}
