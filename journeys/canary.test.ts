// Story (e): sentences that people and firm type are found nowhere at the relay: in no table, no file, no log and on no line. The
// same search finds them in the gateway's own store, and finds planted ones in each kind of place.
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readIdentity, storeAttachment } from '@siegel/client';
import {
  connectToRelay,
  createMemoryStore,
  nodeEnvironment,
  nodeNetwork,
} from '@siegel/client/node';
import { nodeProvider } from '@siegel/crypto/node';
import type { Body } from '@siegel/protocol/content';
import type { ConversationId, MessageId } from '@siegel/protocol/ids';
import { socketPath, socketProtocol } from '@siegel/protocol/relay';
import {
  type Person,
  person,
  startTown,
  type TcpCapture,
  type Town,
  type TownBusiness,
  tcpCapture,
  type WebhookSink,
  webhookSink,
} from '@siegel/testkit';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { messageOf, waitForStatus } from './read-webhook.ts';
import { type Found, searchFiles, searchTables } from './search-places.ts';

const slug = 'nordwind-air';
const sentence = (where: string) => `Fünf Pfefferminzwale singen im Hafen (${where})`;
const typed = {
  firmText: sentence('Firma, frei'),
  firmParameter: sentence('Firma, Vorlage'),
  firmCaption: sentence('Firma, Bild'),
  firmPicture: sentence('Firma, im Bild'),
  firmFilename: `${sentence('Firma, Datei')}.pdf`,
  // 29 octets that nobody else writes.
  firmReaction: '🧑🏿‍🦼‍➡️',
  personText: sentence('Person, frei'),
  personCaption: sentence('Person, Bild'),
  personPicture: sentence('Person, im Bild'),
  personFilename: `${sentence('Person, Datei')}.pdf`,
  personReaction: '👩🏾‍🦽‍➡️',
};
const canaries = Object.values(typed);
const planted = {
  row: 'Sieben Lakritzeulen zählen Sterne (Zeile)',
  octets: 'Sieben Lakritzeulen zählen Sterne (Oktette)',
  list: 'Sieben Lakritzeulen zählen Sterne (Liste)',
  deleted: 'Sieben Lakritzeulen zählen Sterne (gelöscht)',
  blob: 'Sieben Lakritzeulen zählen Sterne (Blob)',
  log: 'Sieben Lakritzeulen zählen Sterne (Protokoll)',
  request: 'Sieben Lakritzeulen zählen Sterne (Anfrage)',
  frame: 'Sieben Lakritzeulen zählen Sterne (Rahmen)',
};
const controls = Object.values(planted);

const home = mkdtempSync(join(tmpdir(), 'siegel-canary-'));
let town: Town;
let firm: TownBusiness;
let sink: WebhookSink;
let gatewayLine: TcpCapture;
let personLine: TcpCapture;
let alice: Person;
let conversationId: ConversationId;
let relayConnection: ReturnType<typeof connectToRelay>;
let lastFromFirm: MessageId;
let databases: ReturnType<Town['databases']>;

beforeAll(async () => {
  town = await startTown(
    {
      home,
      port: 0,
      host: '127.0.0.1',
      behindProxy: false,
      firms: [slug],
      bots: false,
      logLevel: 'debug',
    },
    {
      random: randomBytes,
      async lineToRelay(relay) {
        gatewayLine = await tcpCapture(relay);
        return gatewayLine.url;
      },
    },
  );
  firm = town.file.businesses[0]!;
  databases = town.databases();
  personLine = await tcpCapture(town.file.relay);
  const { appSecret, verifyToken } = firm;
  sink = await webhookSink({ appSecret, verifyToken, now: nodeEnvironment.now });
  const callback = { override_callback_uri: sink.url, verify_token: verifyToken };
  await ask(`${firm.wabaId}/subscribed_apps`, JSON.stringify(callback));
  const store = createMemoryStore();
  const { smsInbox } = town.file;
  alice = await person({ relay: personLine.url, smsInbox, number: '+4915550009001', store });
  const { deviceToken: token } = (await readIdentity(store))!;
  relayConnection = connectToRelay({ url: personLine.url, token });
});
afterAll(async () => {
  await relayConnection?.close();
  await alice?.close();
  await sink?.[Symbol.asyncDispose]();
  await town?.stop();
  await gatewayLine?.[Symbol.asyncDispose]();
  await personLine?.[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});

async function ask(path: string, body: string | FormData): Promise<Record<string, unknown>> {
  const response = await fetch(`${firm.cloudApi}/v25.0/${path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${firm.accessToken}`,
      ...(typeof body === 'string' ? { 'content-type': 'application/json' } : {}),
    },
    body,
    signal: AbortSignal.timeout(20_000),
  });
  const answer = (await response.json()) as Record<string, unknown>;
  expect(response.status, JSON.stringify(answer)).toBe(200);
  return answer;
}

async function send(message: object): Promise<string> {
  const whole = { messaging_product: 'whatsapp', to: alice.number, ...message };
  const answer = await ask(`${firm.phoneNumberId}/messages`, JSON.stringify(whole));
  return (answer['messages'] as { id: string }[])[0]!.id;
}

async function upload(file: { type: string; name: string; bytes: Buffer }): Promise<string> {
  const form = new FormData();
  form.set('messaging_product', 'whatsapp');
  const blob = new Blob([Uint8Array.from(file.bytes)], { type: file.type });
  form.set('file', blob, file.name);
  return String((await ask(`${firm.phoneNumberId}/media`, form))['id']);
}

const pngHead = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const picture = (words: string): Buffer => Buffer.concat([pngHead, Buffer.from(words)]);

const has = (words: string) => (message: { content: { body: Body } }) =>
  JSON.stringify(message.content.body).includes(words);

test('the firm types sentences into a template, a text, a caption, a file name and a reaction', async () => {
  const parameters = [typed.firmParameter, '15:10', 'B7'].map((text) => ({ type: 'text', text }));
  await send({
    type: 'template',
    template: {
      name: 'flight_update',
      language: { code: 'de' },
      components: [{ type: 'body', parameters }],
    },
  });
  ({ conversationId } = await alice.waitFor(has(typed.firmParameter)));
  const { clientId } = await alice.account.send({
    to: { conversationId },
    body: { type: 'text', text: typed.personText },
  });
  await alice.waitForStatus(clientId, 'delivered');
  const said = await sink.waitFor((one) => messageOf(one)?.text?.body === typed.personText);
  await send({ type: 'text', text: { body: typed.firmText } });
  lastFromFirm = (await alice.waitFor(has(typed.firmText))).messageId;
  const bytes = picture(typed.firmPicture);
  const image = await upload({ type: 'image/png', name: 'hafen.png', bytes });
  await send({ type: 'image', image: { id: image, caption: typed.firmCaption } });
  await alice.waitFor(has(typed.firmCaption));
  const pdf = Buffer.from('%PDF-1.7\n');
  const file = await upload({ type: 'application/pdf', name: 'x.pdf', bytes: pdf });
  await send({ type: 'document', document: { id: file, filename: typed.firmFilename } });
  await alice.waitFor(has(typed.firmFilename));
  const reaction = { message_id: messageOf(said)!.id, emoji: typed.firmReaction };
  const wamid = await send({ type: 'reaction', reaction });
  await alice.waitFor(has(typed.firmReaction));
  await waitForStatus(sink, wamid, 'delivered');
});

async function attach(file: {
  media: 'image' | 'document';
  contentType: string;
  bytes: Buffer;
  caption?: string;
  filename?: string;
}): Promise<void> {
  const provider = await nodeProvider();
  const stored = await storeAttachment({ connection: relayConnection, provider }, file);
  if (stored.outcome !== 'stored') throw new Error(stored.outcome);
  const { attachment, blobId } = stored;
  await alice.account.send({ to: { conversationId }, body: attachment, blobs: [blobId] });
}

test('the person types sentences into a text, a caption, a file name and a reaction', async () => {
  const { personCaption: caption, personFilename: filename } = typed;
  const bytes = picture(typed.personPicture);
  await attach({ media: 'image', contentType: 'image/png', bytes, caption });
  await attach({
    media: 'document',
    contentType: 'application/pdf',
    bytes: Buffer.from('%PDF-1.7\n'),
    filename,
  });
  await alice.account.send({
    to: { conversationId },
    body: { type: 'reaction', emoji: typed.personReaction },
    inReplyTo: lastFromFirm,
  });
  const told = (words: string) =>
    sink.waitFor((one) => JSON.stringify(one.body).includes(words), { timeoutMs: 20_000 });
  for (const words of [caption, filename, typed.personReaction]) await told(words);
  await alice.account.markRead(conversationId, lastFromFirm);
  await alice.account.settled();
});

test('the search is not blind: sentences are planted where it will look', async () => {
  const client = new Client({ connectionString: databases.relay });
  await client.connect();
  try {
    await client.query('CREATE TABLE planted (words text, octets bytea, list text[])');
    const insert = 'INSERT INTO planted VALUES ($1, $2, $3)';
    const octets = Buffer.from(planted.octets).toString('base64');
    // Several: the log of PostgreSQL cuts what lies across its pages.
    for (let index = 0; index < 8; index += 1) {
      await client.query(insert, [planted.row, Buffer.from(octets), [planted.list]]);
      await client.query(insert, [planted.deleted, null, null]);
    }
    await client.query('DELETE FROM planted WHERE words = $1', [planted.deleted]);
  } finally {
    await client.end();
  }
  const blobs = join(home, 'relay', 'blobs', 'planted');
  mkdirSync(blobs, { recursive: true });
  writeFileSync(join(blobs, 'blob'), Buffer.from(planted.blob, 'utf16le'));
  appendFileSync(join(home, 'logs', 'relay.log'), `${JSON.stringify({ msg: planted.log })}\n`);
  for (const line of [personLine, gatewayLine]) {
    const response = await fetch(`${line.url}/v1/${encodeURIComponent(planted.request)}`);
    expect(response.status).toBe(404);
    await new Promise<void>((resolve) => {
      const url = `${line.url.replace('http', 'ws')}${socketPath}`;
      const socket = nodeNetwork.webSocket(url, socketProtocol, {
        opened: () => socket.send(JSON.stringify({ type: planted.frame })),
        frame: () => {},
        closed: resolve,
      });
    });
  }
});

const missing = (found: Found, sentences: readonly string[]): string[] =>
  sentences.filter((one) => found.get(one)!.length === 0);
const present = (found: Found, sentences: readonly string[]): string[] =>
  sentences.flatMap((one) => found.get(one)!.map((place) => `${one}: ${place}`));

test('no table of the relay holds a word; every word is in the gateway’s own tables', async () => {
  const rows = [planted.row, planted.octets, planted.list];
  const relay = await searchTables(databases.relay, [...canaries, ...controls]);
  expect(present(relay.found, canaries)).toEqual([]);
  expect(missing(relay.found, rows)).toEqual([]);
  expect(relay.found.get(planted.deleted)).toEqual([]);
  expect(relay.columns).toBeGreaterThan(100);
  const gateway = await searchTables(databases.gateway(slug), canaries);
  expect(missing(gateway.found, canaries)).toEqual([]);
  console.info(
    `relay: ${relay.columns} columns, ${relay.values} values; gateway: ${gateway.columns}, ${gateway.values}`,
  );
});

test('no word went over the line, in either direction, neither from the person nor from the gateway', () => {
  for (const line of [personLine, gatewayLine]) {
    expect(canaries.filter((one) => line.contains(one))).toEqual([]);
    expect(line.contains(planted.request)).toBe(true);
    expect(line.contains(planted.frame)).toBe(true);
    // What both sides may know is seen in frames and requests; nothing is squeezed, which would hide it.
    expect(line.contains(conversationId)).toBe(true);
    for (const { sent, received } of line.connections) {
      const heads = Buffer.concat([sent(), received()]).toString('latin1');
      expect(heads).not.toMatch(/^content-encoding:/im);
      expect(heads).not.toMatch(/^sec-websocket-extensions:.*deflate/im);
    }
    // A masked frame is not seen by a search over raw octets alone.
    const raw = line.connections.map(({ sent }) => sent());
    expect(raw.some((bytes) => bytes.includes('Rahmen'))).toBe(false);
    expect(line.bytes()).toBeGreaterThan(10_000);
  }
  console.info(`lines: person ${personLine.bytes()}, gateway ${gatewayLine.bytes()} octets`);
});

test('no file of the relay and no log of the town holds a word, data files and WAL after a checkpoint included', async () => {
  await alice.close();
  // A stop in order ends with a checkpoint: everything is in the files.
  await town.stop();
  const all = searchFiles(home, [...canaries, ...controls]);
  const outside = present(all.found, canaries).filter(
    (one) => !one.includes(': postgres-gateways/'),
  );
  expect(outside).toEqual([]);
  const inGateways = canaries.filter((one) =>
    all.found.get(one)!.some((path) => path.startsWith('postgres-gateways/')),
  );
  expect(inGateways.toSorted()).toEqual(canaries.toSorted());
  const places = (one: string): string => all.found.get(one)!.join('\n');
  for (const one of [planted.row, planted.octets, planted.list, planted.deleted]) {
    expect(places(one), one).toMatch(/^postgres-relay\/data\/pg_wal\//m);
  }
  for (const one of [planted.row, planted.octets, planted.list]) {
    expect(places(one), one).toMatch(/^postgres-relay\/data\/base\//m);
  }
  expect(places(planted.blob)).toBe('relay/blobs/planted/blob');
  expect(places(planted.log)).toBe('logs/relay.log');
  console.info(`${all.files} files, ${all.bytes} octets`);
});
