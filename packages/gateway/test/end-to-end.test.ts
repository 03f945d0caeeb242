// The whole road: relay, enrolled gateway and a person's SDK, each over its own sockets; webhooks arrive at a real server.

import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type Account,
  fetchAttachment,
  finishRegistration,
  openAccount,
  proveNumber,
  type ReceivedMessage,
  renderTemplate,
  startRegistration,
  storeAttachment,
} from '@siegel/client';
import { connectToRelay, createMemoryStore, openNodeDevice } from '@siegel/client/node';
import { connectDatabase } from '@siegel/database';
import { testDatabase } from '@siegel/database/testing';
import type { MessageId } from '@siegel/protocol/ids';
import { PhoneNumber } from '@siegel/protocol/ids';
import { decideTemplate, registerBusiness } from '@siegel/protocol/relay';
import { startRelay } from '@siegel/relay';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enrolGateway, type Gateway, type GatewayConfig, startGateway } from '../src/index.ts';
import { gatewayDatabase, type Sink, startSink, until, verifyToken } from './support.ts';

const relayMigrations = fileURLToPath(new URL('../../relay/migrations', import.meta.url));
const token = 'a-token-for-the-end-to-end-test';
const aliceNumber = PhoneNumber.parse('+4915111111111');
const closing: (() => Promise<unknown>)[] = [];
const codes = new Map<string, string>();
let sink: Sink;
let gateway: Gateway;
let config: GatewayConfig;
let enrolmentCode: string;
let operator: ReturnType<typeof connectToRelay>;
let number: { phoneNumberId: string; wabaId: string };
let alice: Awaited<ReturnType<typeof startPerson>>;

async function startOperator() {
  const database = await testDatabase({ migrations: relayMigrations });
  const folder = await mkdtemp(join(tmpdir(), 'siegel-gateway-'));
  const operatorToken = randomBytes(32).toString('base64url');
  const relay = await startRelay(
    {
      port: 0,
      town: true,
      operatorToken,
      keysFile: join(folder, 'keys.json'),
      blobFolder: join(folder, 'blobs'),
      issuer: 'relay.test',
      logLevel: 'silent',
    },
    {
      database: database.database,
      sms: {
        send: async ({ to, text }) => {
          codes.set(to, /\b[0-9]{6}\b/.exec(text)?.[0] ?? '');
        },
      },
    },
  );
  operator = connectToRelay({ url: relay.url, token: operatorToken });
  closing.push(
    () => rm(folder, { recursive: true, force: true }),
    () => database.drop(),
    () => relay.close(),
    () => operator.close(),
  );
  return relay;
}

async function startPerson(url: string, name: PhoneNumber) {
  const store = createMemoryStore();
  const device = await openNodeDevice({ url, store });
  expect((await startRegistration(device, { number: name })).outcome).toBe('code-sent');
  await proveNumber(device, codes.get(name) ?? '');
  const registered = await finishRegistration(device);
  if (registered.outcome !== 'registered') throw new Error(registered.outcome);
  await device.connection.close();
  const own = await openNodeDevice({ url, store, token: registered.identity.deviceToken });
  const received: ReceivedMessage[] = [];
  const account: Account = await openAccount({
    ...own,
    ...own.environment,
    handler: {
      message: async (message) => void received.push(message),
      status: async () => {},
      notice: async () => {},
    },
  });
  closing.push(() => account.close());
  const shown = () => received.filter(({ content }) => content.body.type !== 'receipt');
  return { account, device: own, identity: registered.identity, received: shown };
}

const call = async (method: string, path: string, body?: object) => {
  const response = await fetch(`${gateway.url}/v25.0${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, json: (await response.json()) as any };
};
const send = (message: object) =>
  call('POST', `/${number.phoneNumberId}/messages`, { messaging_product: 'whatsapp', ...message });
const events = () => sink.events();
const statusesOf = (wamid: string): string[] =>
  events()
    .flatMap((value) => value.statuses ?? [])
    .filter(({ id }: { id: string }) => id === wamid)
    .map(({ status }: { status: string }) => status);
const messages = () => events().flatMap((value) => value.messages ?? []);

beforeAll(async () => {
  const relay = await startOperator();
  const registered = await operator.call(registerBusiness, {
    legalName: 'Nordwind Air GmbH',
    country: 'DE',
    evidence: 'register-extract',
    level: 'badge',
    numbers: [{ number: PhoneNumber.parse('+4930100100'), displayName: 'Nordwind Air' }],
  });
  if (registered.outcome !== 'registered') throw new Error(registered.outcome);
  enrolmentCode = registered.enrolmentCode;
  number = registered.business.numbers[0]!;
  sink = await startSink();
  const database = await gatewayDatabase();
  config = {
    databaseUrl: database.url,
    relayUrl: relay.url,
    host: '127.0.0.1',
    port: 0,
    appName: 'Nordwind Air',
    tokens: [{ token }],
    webhook: { url: sink.url, verifyToken },
    allowedAddresses: ['loopback'],
    keysHostedBy: 'Nordwind Air GmbH',
    logLevel: process.env['SIEGEL_LOG_LEVEL'] ?? 'silent',
  };
  closing.push(
    () => database.drop(),
    () => sink.close(),
  );
  await expect(startGateway(config)).rejects.toMatchObject({ code: 'configuration-invalid' });
  await expect(enrolGateway(config, 'not a code')).rejects.toThrow('no');
  const enrolled = await enrolGateway(config, enrolmentCode);
  expect(enrolled.business.legalName).toBe('Nordwind Air GmbH');
  expect(await enrolGateway(config, enrolmentCode)).toEqual(enrolled);
  gateway = await startGateway(config);
  closing.push(() => gateway.close());
  alice = await startPerson(relay.url, aliceNumber);
}, 120_000);
afterAll(async () => {
  for (const close of closing.reverse()) await close();
}, 60_000);

test('a person writes, the firm answers, receipts come back', async () => {
  await alice.account.send({
    to: { business: number.phoneNumberId as never },
    body: { type: 'text', text: 'Wann geht mein Flug? ✈️' },
  });
  await until('the webhook', () => messages().length === 1, 30_000);
  const [message] = messages();
  expect(message).toMatchObject({ type: 'text', text: { body: 'Wann geht mein Flug? ✈️' } });
  // Alice never told her number.
  expect(sink.received[0]!.text).not.toContain('15111111111');
  const answer = await send({
    recipient: message.from_user_id,
    context: { message_id: message.id },
    text: { body: 'Um 9:30, Gate A1' },
  });
  expect(answer.status).toBe(200);
  await until('the answer', () => alice.received().length === 1, 30_000);
  const [received] = alice.received();
  expect(received!.content.body).toEqual({ type: 'text', text: 'Um 9:30, Gate A1' });
  const wamid = answer.json.messages[0].id;
  await until('delivered', () => statusesOf(wamid).includes('delivered'), 30_000);
  await alice.account.markRead(received!.conversationId, received!.messageId);
  await until('read', () => statusesOf(wamid).includes('read'), 30_000);
  expect(statusesOf(wamid)).toEqual(['sent', 'delivered', 'read']);
  const mark = { status: 'read', message_id: message.id, typing_indicator: { type: 'text' } };
  expect((await send(mark)).json).toEqual({ success: true });
}, 90_000);

test('a template opens a conversation by number, and is rendered on the device', async () => {
  const submitted = await call('POST', `/${number.wabaId}/message_templates`, {
    name: 'flug_update',
    language: 'de',
    category: 'UTILITY',
    components: [
      {
        type: 'BODY',
        text: 'Guten Tag, Ihr Flug {{1}} geht heute um {{2}} Uhr. Wir wünschen eine gute Reise.',
        example: { body_text: [['NW 1', '9:30']] },
      },
      { type: 'BUTTONS', buttons: [{ type: 'QUICK_REPLY', text: 'Danke' }] },
    ],
  });
  expect(submitted.json).toMatchObject({ id: expect.any(String), category: 'UTILITY' });
  const bob = await startPerson(config.relayUrl, PhoneNumber.parse('+4915122222222'));
  const template = {
    name: 'flug_update',
    language: { code: 'de' },
    components: [
      {
        type: 'body',
        parameters: [
          { type: 'text', text: 'NW 7' },
          { type: 'text', text: '10:15' },
        ],
      },
      {
        type: 'button',
        sub_type: 'quick_reply',
        index: 0,
        parameters: [{ type: 'payload', payload: 'ok' }],
      },
    ],
  };
  const message = { to: '+49 151 22222222', type: 'template', template };
  if (submitted.json.status === 'PENDING') {
    expect((await send(message)).json.error.code).toBe(132001);
    await operator.call(decideTemplate, { templateId: submitted.json.id, decision: 'approve' });
  }
  let accepted = await send(message);
  await until('approved', async () => {
    if (accepted.status !== 200) accepted = await send(message);
    return accepted.status === 200;
  });
  expect(accepted.json.contacts[0].wa_id).toBe('4915122222222');
  await until('the template', () => bob.received().length === 1, 30_000);
  const [received] = bob.received();
  const { body } = received!.content;
  if (body.type !== 'template' || received!.template === undefined) throw new Error('no template');
  expect(JSON.stringify(renderTemplate(received!.template, body, 'de' as never))).toContain('NW 7');
  const wamid = accepted.json.messages[0].id;
  await until('delivered', () => statusesOf(wamid).includes('delivered'), 30_000);
  // A tap on the template's button is told of with number, because the firm knew it.
  await bob.account.send({
    to: { conversationId: received!.conversationId },
    inReplyTo: received!.messageId,
    body: { type: 'choice', of: 'template-button', id: 'ok', title: 'Danke' },
  });
  await until('the tap', () => messages().some(({ type }) => type === 'button'), 30_000);
  expect(messages().find(({ type }) => type === 'button')).toMatchObject({
    from: '4915122222222',
    button: { payload: 'ok', text: 'Danke' },
    context: { id: wamid },
  });
}, 90_000);

test('outside the window and to nobody: 131047 and 131026 by webhook', async () => {
  const stranger = await startPerson(config.relayUrl, PhoneNumber.parse('+4915133333333'));
  const closed = await send({ to: '+4915133333333', text: { body: 'Hallo' } });
  const nobody = await send({ to: '+4915144444444', text: { body: 'Hallo' } });
  const errorOf = (wamid: string) =>
    events()
      .flatMap((value) => value.statuses ?? [])
      .find(({ id, status }: any) => id === wamid && status === 'failed')?.errors[0].code;
  await until(
    'both',
    () => [closed, nobody].every(({ json }) => errorOf(json.messages[0].id)),
    30_000,
  );
  expect([131047, 131026]).toContain(errorOf(closed.json.messages[0].id));
  expect([131047, 131026]).toContain(errorOf(nobody.json.messages[0].id));
  expect(stranger.received()).toEqual([]);
}, 60_000);

test('media both ways, sealed on the road', async () => {
  const photo = randomBytes(50_000);
  const stored = await storeAttachment(alice.device, {
    bytes: photo,
    media: 'image',
    contentType: 'image/jpeg',
  });
  if (stored.outcome !== 'stored') throw new Error(stored.outcome);
  await alice.account.send({
    to: { business: number.phoneNumberId as never },
    body: stored.attachment,
    blobs: [stored.blobId],
  });
  await until('the photo', () => messages().some(({ type }) => type === 'image'), 30_000);
  const message = messages().find(({ type }) => type === 'image');
  expect(message.image.sha256).toBe(createHash('sha256').update(photo).digest('base64'));
  const about = await call('GET', `/${message.image.id}`);
  const fetched = await fetch(about.json.url, { headers: { authorization: `Bearer ${token}` } });
  expect(Buffer.from(await fetched.arrayBuffer()).equals(photo)).toBe(true);
  // The same file goes back.
  await send({ recipient: message.from_user_id, type: 'image', image: { id: message.image.id } });
  const images = () => alice.received().filter(({ content }) => content.body.type === 'attachment');
  await until('the photo back', () => images().length === 1, 30_000);
  const { body } = images()[0]!.content;
  if (body.type !== 'attachment') throw new Error('no attachment');
  const opened = await fetchAttachment(alice.device, body);
  expect(opened.outcome === 'attachment' && Buffer.from(opened.bytes).equals(photo)).toBe(true);
}, 60_000);

test('a person who sends its number statement is known by number from then on', async () => {
  const { conversationId } = alice.received()[0]!;
  await alice.account.send({
    to: { conversationId },
    body: {
      type: 'profile',
      displayName: 'Alice',
      numberStatement: alice.identity.numberStatement!,
    },
  });
  await alice.account.send({ to: { conversationId }, body: { type: 'text', text: 'Ich bin es' } });
  await until('the text', () => messages().some(({ text }) => text?.body === 'Ich bin es'), 30_000);
  const value = events().find(({ messages: [one] = [] }) => one?.text?.body === 'Ich bin es');
  expect(value.messages[0].from).toBe('4915111111111');
  expect(value.contacts[0]).toMatchObject({ wa_id: '4915111111111', profile: { name: 'Alice' } });
}, 60_000);

test('after a restart nothing is lost and nothing is told twice', async () => {
  const before = sink.received.length;
  await gateway.close();
  await alice.account.send({
    to: { business: number.phoneNumberId as never },
    body: { type: 'text', text: 'noch da?' },
  });
  await alice.account.settled();
  gateway = await startGateway(config);
  await until(
    'the message',
    () => messages().some(({ text }) => text?.body === 'noch da?'),
    30_000,
  );
  const ids = sink.received.map(({ headers }) => headers['x-siegel-delivery']);
  expect(new Set(ids).size).toBe(ids.length);
  const answer = await send({ to: aliceNumber, text: { body: 'ja' } });
  const text = () => alice.received().map(({ content }) => content.body);
  await until(
    'the answer',
    () => text().some((body) => body.type === 'text' && body.text === 'ja'),
    30_000,
  );
  await until(
    'delivered',
    () => statusesOf(answer.json.messages[0].id).includes('delivered'),
    30_000,
  );
  expect(sink.received.length).toBeGreaterThan(before);
  const last: MessageId = alice.received().at(-1)!.messageId;
  expect(last).toBeDefined();
}, 90_000);

test('two processes never write one account: the second waits in vain, a lost lease ends the first', async () => {
  await expect(startGateway(config)).rejects.toMatchObject({ code: 'state-conflict' });
  const database = connectDatabase(config.databaseUrl);
  await database.query('UPDATE writer_leases SET fence = fence + 1');
  const answer = await send({ to: aliceNumber, text: { body: 'zu spät' } }).catch(() => undefined);
  // Refused as a service that is not here, or the server is gone already; never accepted.
  expect([503, undefined]).toContain(answer?.status);
  await until('closed', () =>
    fetch(`${gateway.url}/health`).then(
      () => false,
      () => true,
    ),
  );
  await database.close();
}, 60_000);
