// Whatever is thrown at the HTTP side, it answers in its own envelope, never with a 500, and is still there afterwards.

import { connect } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  gatewayDatabase,
  numbers,
  startTestGateway,
  type TestGateway,
  templateEntry,
  textParameter,
  token,
  wabaId,
} from './support.ts';

let database: Awaited<ReturnType<typeof gatewayDatabase>>;
let gateway: TestGateway;
const failures: object[] = [];
const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(performance.timeOrigin % 2 ** 31));
const runs = Number(process.env['FUZZ_RUNS'] ?? 300);

beforeAll(async () => {
  console.log(`fuzz seed ${seed}`);
  database = await gatewayDatabase();
  const body = { text: 'Hallo {{1}}', parameters: [textParameter('1')] };
  gateway = await startTestGateway({
    database: database.database,
    templates: [templateEntry({ name: 't', components: { body, buttons: [] } })],
    log: { info() {}, warn() {}, error: (fields) => void failures.push(fields) },
  });
});
afterAll(async () => {
  await gateway.close();
  await database.drop();
});

/** encodeURIComponent refuses half surrogates. */
const wellFormed = (text: string) => text.replace(/\p{Cs}/gu, '\ufffd');

const number = numbers.airline.id;
const paths = [
  `/v25.0/${number}/messages`,
  `/${number}/media`,
  `/v25.0/${number}`,
  `/v1.0/${wabaId}/message_templates`,
  `/${wabaId}/phone_numbers`,
  `/${wabaId}/subscribed_apps`,
  '/media-bytes/1000000000000001',
  '/1000000000000001',
];

const word = fc.oneof(
  fc.constantFrom(
    ...['messaging_product', 'whatsapp', 'to', 'recipient', 'type', 'text', 'body', 'image', 'id'],
    ...['link', 'template', 'name', 'language', 'code', 'components', 'parameters', 'interactive'],
    ...['action', 'buttons', 'sections', 'rows', 'context', 'message_id', 'status', 'read'],
    ...['__proto__', 'constructor', 'toString', 'wamid.AQ==', '4915123456789', 'DE.x', 'de', 't'],
  ),
  fc.string({ maxLength: 40, unit: 'binary' }),
  fc.constantFrom('\u0000', 'a\u0000b', '\ud800', '\u202e'),
);
const leaf: fc.Arbitrary<unknown> = fc.oneof(
  word,
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
);
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('json'), { maxLength: 5 }),
    fc.dictionary(word, tie('json'), { maxKeys: 6 }),
  ),
}));

/** A right message with one thing in it replaced, which gets further than pure noise. */
const seeds = [
  {
    to: '4915123456789',
    type: 'text',
    text: { body: 'x' },
    context: null,
    biz_opaque_callback_data: 'x',
  },
  { override_callback_uri: 'http://127.0.0.1:1/', verify_token: 'x' },
  {
    to: '4915123456789',
    type: 'template',
    template: {
      name: 't',
      language: { code: 'de' },
      components: [{ type: 'body', parameters: [{ type: 'text', text: 'x' }] }],
    },
  },
  {
    to: '4915123456789',
    type: 'interactive',
    interactive: {
      type: 'button',
      header: { type: 'image', image: { id: '1' } },
      body: { text: 'x' },
      action: { buttons: [{ type: 'reply', reply: { id: '1', title: 'a' } }] },
    },
  },
  {
    to: '4915123456789',
    type: 'interactive',
    interactive: {
      type: 'list',
      body: { text: 'x' },
      action: { button: 'b', sections: [{ title: 't', rows: [{ id: '1', title: 'a' }] }] },
    },
  },
  { to: '4915123456789', type: 'location', location: { latitude: 1, longitude: 2 } },
  { to: '4915123456789', type: 'reaction', reaction: { message_id: 'wamid.AQ==', emoji: 'x' } },
  { status: 'read', message_id: 'wamid.AQ==', typing_indicator: { type: 'text' } },
  {
    name: 'x',
    language: 'de',
    category: 'UTILITY',
    components: [
      { type: 'BODY', text: 'a {{1}}', example: { body_text: [['x']] } },
      { type: 'BUTTONS', buttons: [{ type: 'URL', text: 'a', url: 'https://x/{{1}}' }] },
    ],
  },
];
function places(value: unknown, at: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([key, inner]) => places(inner, [...at, key]))];
}
function replaced(value: unknown, at: (string | number)[], by: unknown): unknown {
  const copy = structuredClone(value) as Record<string, unknown>;
  if (at.length === 0) return by;
  let inside = copy;
  for (const key of at.slice(0, -1)) inside = inside[key] as Record<string, unknown>;
  inside[at.at(-1)!] = by;
  return copy;
}
const mutated = fc.constantFrom(...seeds).chain((whole) => {
  const right = { messaging_product: 'whatsapp', ...whole };
  return fc
    .tuple(fc.constantFrom(...places(right).slice(1)), json)
    .map(([at, by]) => replaced(right, at, by));
});

async function check(answer: Awaited<ReturnType<TestGateway['call']>>): Promise<void> {
  expect(failures).toEqual([]);
  expect(answer.status).toBeLessThan(500);
  if (answer.status >= 400) {
    expect(answer.json).toMatchObject({
      error: { code: expect.any(Number), fbtrace_id: expect.any(String) },
    });
  }
}

test('JSON of any shape', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('POST', 'GET', 'DELETE'),
      fc.constantFrom(...paths),
      fc.oneof(mutated, mutated, json),
      async (method, path, body) => {
        const sent = method === 'POST' ? JSON.stringify(body) : undefined;
        await check(await gateway.call(method, path, sent));
      },
    ),
    { seed, numRuns: runs },
  );
}, 120_000);

test('octets of any kind as body, under any content type', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...paths),
      fc.uint8Array({ maxLength: 400 }),
      fc.constantFrom(
        'application/json',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'multipart/form-data',
        'text/plain',
        'application/json; charset=latin1',
      ),
      async (path, octets, type) => {
        const response = await fetch(`${gateway.url}${path}`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': type },
          body: octets as never,
        });
        const text = await response.text();
        await check({
          status: response.status,
          headers: response.headers,
          text,
          json: JSON.parse(text),
        });
      },
    ),
    { seed, numRuns: runs },
  );
}, 120_000);

test('paths, queries, ids and headers of any kind', async () => {
  const piece = fc.oneof(
    fc.string({ maxLength: 30 }),
    fc.string({ maxLength: 30, unit: 'binary' }),
    word,
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 4 }),
      fc.dictionary(
        fc.constantFrom(
          'limit',
          'after',
          'before',
          'fields',
          'name',
          'ext',
          'hash',
          'phone_number_id',
          'status',
        ),
        piece,
      ),
      fc.constantFrom(
        '/',
        '/v25.0/',
        `/${wabaId}/`,
        `/${number}/`,
        '/media-bytes/',
        `/${wabaId}/message_templates/`,
      ),
      async (segments, query, start) => {
        const path = start + segments.map((one) => encodeURIComponent(wellFormed(one))).join('/');
        const asked = Object.entries(query).map(
          ([name, value]) => `${name}=${encodeURIComponent(wellFormed(value))}`,
        );
        const answer = await gateway.call('GET', `${path}?${asked.join('&')}`);
        await check(answer.status < 400 ? { ...answer, json: {} } : answer);
      },
    ),
    { seed, numRuns: runs },
  );
}, 120_000);

test('bytes that are no HTTP', async () => {
  const { hostname, port } = new URL(gateway.url);
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom(
          'GET /%zz HTTP/1.1\r\nhost: x\r\n\r\n',
          'POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n',
          'GET http://[ HTTP/1.1\r\nhost: \u0000\r\n\r\n',
          'GET /v25.0 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
        ),
      ),
      async (octets) => {
        await new Promise<void>((resolve) => {
          const socket = connect({ host: hostname, port: Number(port) }, () => socket.end(octets));
          socket
            .on('error', () => resolve())
            .on('close', () => resolve())
            .resume();
        });
        expect(failures).toEqual([]);
      },
    ),
    { seed, numRuns: 100 },
  );
  expect((await gateway.call('GET', '/health')).status).toBe(200);
}, 60_000);
