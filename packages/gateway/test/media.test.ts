// Media through the HTTP side: any part order, ranges, expiry, links under the rules, and files that people sent.

import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readRange } from '../src/http/media-route.ts';
import {
  gatewayDatabase,
  numbers,
  type Sink,
  startSink,
  startTestGateway,
  type TestGateway,
  token,
  until,
  verifyToken,
} from './support.ts';

let database: Awaited<ReturnType<typeof gatewayDatabase>>;
let gateway: TestGateway;
let sink: Sink;
const headers = { authorization: `Bearer ${token}` };

beforeAll(async () => {
  database = await gatewayDatabase();
  sink = await startSink();
  gateway = await startTestGateway({
    database: database.database,
    config: { webhook: { url: sink.url, verifyToken } },
  });
});
afterAll(async () => {
  await gateway.close();
  await sink.close();
  await database.drop();
});

type Part = [name: string, value: string | Blob, filename?: string];
async function upload(parts: Part[], number: string = numbers.airline.id) {
  const form = new FormData();
  for (const [name, value, filename] of parts) {
    if (typeof value === 'string') form.append(name, value);
    else form.append(name, value, filename);
  }
  const response = await fetch(`${gateway.url}/v25.0/${number}/media`, {
    method: 'POST',
    headers,
    body: form,
  });
  return { status: response.status, json: (await response.json()) as any };
}
const png = (bytes: Buffer, type = 'image/png') => new Blob([new Uint8Array(bytes)], { type });
const product: Part = ['messaging_product', 'whatsapp'];

describe('upload', () => {
  test.each<[string, (file: Part) => Part[]]>([
    ['file last', (file) => [product, ['type', 'image/png'], file]],
    ['file first', (file) => [file, ['type', 'image/png'], product]],
    ['type from the part', (file) => [product, file]],
  ])('%s', async (_name, order) => {
    const bytes = randomBytes(700_000);
    const { status, json } = await upload(order(['file', png(bytes), 'bild.png']));
    expect(status).toBe(200);
    expect(json).toEqual({ id: expect.stringMatching(/^\d{15,16}$/) });
    const about = await gateway.call(
      'GET',
      `/v25.0/${json.id}?phone_number_id=${numbers.airline.id}`,
    );
    expect(about.json).toMatchObject({
      messaging_product: 'whatsapp',
      mime_type: 'image/png',
      file_size: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      id: json.id,
    });
    const whole = await fetch(about.json.url, { headers });
    expect(whole.headers.get('content-disposition')).toBe('attachment');
    expect(whole.headers.get('x-content-type-options')).toBe('nosniff');
    expect(Buffer.from(await whole.arrayBuffer()).equals(bytes)).toBe(true);
    for (const [first, last] of [
      [0, 0],
      [262_143, 262_144],
      [699_000, 699_999],
      [0, 699_999],
    ] as const) {
      const part = await fetch(about.json.url, {
        headers: { ...headers, range: `bytes=${first}-${last}` },
      });
      expect(part.status).toBe(206);
      expect(part.headers.get('content-range')).toBe(`bytes ${first}-${last}/700000`);
      expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(first, last + 1))).toBe(
        true,
      );
    }
    const beyond = await fetch(about.json.url, { headers: { ...headers, range: 'bytes=700000-' } });
    expect(beyond.status).toBe(416);
  });

  test.each<[string, Part[], number]>([
    ['no file', [product], 131008],
    ['no product', [['file', png(Buffer.from('x')), 'a.png']], 100],
    [
      'two files',
      [product, ['file', png(Buffer.from('x')), 'a.png'], ['file', png(Buffer.from('y')), 'b.png']],
      100,
    ],
    ['an empty file', [product, ['file', png(Buffer.alloc(0)), 'a.png']], 131053],
    [
      'a type that is none',
      [product, ['type', '<script>'], ['file', png(Buffer.from('x')), 'a.png']],
      131009,
    ],
    [
      'too large an image',
      [product, ['file', png(Buffer.alloc(5 * 1024 * 1024 + 1)), 'a.png']],
      131053,
    ],
  ])('%s is refused and leaves nothing', async (_name, parts, code) => {
    const count = async () =>
      (
        await database.database.query<{ n: number }>(
          'SELECT COUNT(*)::bigint AS n FROM media_chunks',
        )
      ).rows[0]!.n;
    const before = await count();
    const { json } = await upload(parts);
    expect(json.error.code).toBe(code);
    expect(await count()).toBe(before);
  });

  test('a request that is no form, and an upload that breaks off', async () => {
    const path = `/v25.0/${numbers.airline.id}/media`;
    expect((await gateway.call('POST', path, {})).json.error.code).toBe(100);
    const response = await fetch(`${gateway.url}${path}`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'multipart/form-data; boundary=x' },
      body: '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf a file',
    });
    const json = (await response.json()) as any;
    expect(response.status).toBe(400);
    expect(json.error.code).toBe(100);
  });
});

describe('access', () => {
  const uploaded = async () => {
    const { json } = await upload([product, ['file', png(Buffer.from('geheim')), 'a.png']]);
    const about = await gateway.call('GET', `/${json.id}`);
    return { id: json.id as string, url: new URL(about.json.url) };
  };

  test('bytes need the signature, no wrong token, and come within five minutes', async () => {
    const { url } = await uploaded();
    // One client sends no token to a media host at all.
    expect(await (await fetch(url)).text()).toBe('geheim');
    expect((await fetch(url, { headers: { authorization: 'Bearer x' } })).status).toBe(401);
    expect((await fetch(url, { headers: { authorization: 'Basic x' } })).status).toBe(401);
    const bare = new URL(url.pathname, url);
    expect((await fetch(bare)).status).toBe(400);
    const forged = new URL(url);
    forged.searchParams.set('ext', String(gateway.clock.now() + 1e9));
    expect((await fetch(forged, { headers })).status).toBe(400);
    expect((await fetch(forged)).status).toBe(400);
    const inQuery = new URL(url);
    inQuery.searchParams.set('access_token', token);
    expect(await (await fetch(inQuery)).text()).toBe('geheim');
    gateway.advance(5 * 60 * 1000);
    expect((await fetch(url, { headers })).status).toBe(400);
  });

  test('the Host header decides nothing', async () => {
    const { url } = await uploaded();
    const { request } = await import('undici');
    const answer = await request(url, { headers: { ...headers, host: 'lookaside.fbsbx.com' } });
    expect(await answer.body.text()).toBe('geheim');
  });

  test('another number, another id, deleted, and after thirty days: not there', async () => {
    const { id } = await uploaded();
    const gone = { code: 100, error_subcode: 33 };
    expect(
      (await gateway.call('GET', `/${id}?phone_number_id=${numbers.second.id}`)).json.error,
    ).toMatchObject(gone);
    expect((await gateway.call('GET', '/1000000000000000')).json.error).toMatchObject(gone);
    const image = { to: '4915123456789', type: 'image', image: { id } };
    expect((await gateway.send(image, numbers.second.id)).json.error.code).toBe(131009);
    expect((await gateway.call('DELETE', `/v25.0/${id}`)).json).toEqual({ success: true });
    expect((await gateway.call('DELETE', `/v25.0/${id}`)).json.error).toMatchObject(gone);
    const second = await uploaded();
    gateway.advance(30 * 24 * 60 * 60 * 1000);
    expect((await gateway.call('GET', `/${second.id}`)).json.error).toMatchObject(gone);
    await until('swept', async () => {
      gateway.advance(10 * 60 * 1000);
      const { rows } = await database.database.query('SELECT 1 FROM media_chunks');
      return rows.length === 0;
    });
  });
});

describe('sending', () => {
  const image = (object: object) => ({ to: '4915123456789', type: 'image', image: object });

  test('by id: sealed once, referred to again, sealed anew when the blob is old', async () => {
    const { json } = await upload([product, ['file', png(Buffer.from('bild')), 'bild.png']]);
    await gateway.send(image({ id: json.id, caption: 'Schau' }));
    const first = gateway.account.sent.at(-1)!;
    expect(first.body).toMatchObject({
      type: 'attachment',
      media: 'image',
      contentType: 'image/png',
      caption: 'Schau',
      bytes: 4,
    });
    const blobOf = (sent: typeof first) => (sent.body as { blobId: string }).blobId;
    expect(first.blobs).toEqual([blobOf(first)]);
    await gateway.send(image({ id: Number(json.id) }));
    expect(blobOf(gateway.account.sent.at(-1)!)).toBe(blobOf(first));
    gateway.advance(13 * 60 * 60 * 1000);
    await gateway.send(image({ id: json.id }));
    expect(blobOf(gateway.account.sent.at(-1)!)).not.toBe(blobOf(first));
  });

  test('by id as something it is not', async () => {
    const { json } = await upload([
      product,
      ['file', png(Buffer.from('x'), 'text/plain'), 'a.txt'],
    ]);
    const answer = await gateway.send(image({ id: json.id }));
    expect(answer.json.error).toMatchObject({ code: 131053 });
    const document = {
      to: '4915123456789',
      type: 'document',
      document: { id: json.id, filename: 'a.txt' },
    };
    expect((await gateway.send(document)).status).toBe(200);
    expect(gateway.account.sent.at(-1)!.body).toMatchObject({
      media: 'document',
      filename: 'a.txt',
    });
  });

  test('by link', async () => {
    const server = createServer((request, response) => {
      if (request.url === '/bild.png')
        response.writeHead(200, { 'content-type': 'image/png' }).end('PNG');
      else if (request.url === '/page')
        response.writeHead(200, { 'content-type': 'text/html' }).end('<p>');
      else if (request.url === '/big')
        response.writeHead(200, { 'content-type': 'image/png' }).end(Buffer.alloc(6_000_000));
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect((await gateway.send(image({ link: `${at}/bild.png` }))).status).toBe(200);
    expect(gateway.account.sent.at(-1)!.body).toMatchObject({ contentType: 'image/png', bytes: 3 });
    for (const path of ['/page', '/big', '/nothing']) {
      const answer = await gateway.send(image({ link: `${at}${path}` }));
      expect(answer.json.error).toMatchObject({ code: 131053 });
    }
    server.close();
    for (const link of [
      'http://10.0.0.1/a.png',
      'https://[fd00::1]/a.png',
      'http://169.254.169.254/',
    ]) {
      const answer = await gateway.send(image({ link }));
      expect(answer.json.error.error_data.details).toContain('address-refused');
    }
  });
});

describe('received', () => {
  const receive = async (bytes: Buffer) => {
    const sealed = await gateway.media.attachments.seal({
      bytes,
      media: 'image',
      contentType: 'image/jpeg',
    });
    if (sealed.outcome !== 'sealed') throw new Error('not sealed');
    sink.received.length = 0;
    await gateway.account.receive({ body: { ...sealed.attachment, caption: 'Foto' } });
  };

  test('the webhook names the hash of the plaintext, and the file can be fetched', async () => {
    const bytes = randomBytes(1000);
    await receive(bytes);
    await until('the webhook', () => sink.received.length === 1);
    const { image, type } = sink.events()[0].messages[0];
    expect(type).toBe('image');
    expect(image).toEqual({
      id: expect.stringMatching(/^\d{15,16}$/),
      mime_type: 'image/jpeg',
      sha256: createHash('sha256').update(bytes).digest('base64'),
      caption: 'Foto',
    });
    const about = await gateway.call('GET', `/v25.0/${image.id}`);
    const answer = await fetch(about.json.url, { headers });
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true);
  });

  test('while the relay is away the webhook waits; its body is then the same for good', async () => {
    gateway.media.fail('away');
    await receive(Buffer.from('später'));
    const attempts = async () =>
      (
        await database.database.query<{ n: number }>(
          "SELECT COALESCE(MAX(attempts), 0)::bigint AS n FROM webhook_events WHERE state = 'waiting'",
        )
      ).rows[0]!.n;
    await until('tried', async () => (await attempts()) === 1);
    expect(sink.received).toHaveLength(0);
    gateway.media.fail('no');
    await until('the webhook', () => {
      gateway.advance(1000);
      return sink.received.length === 1;
    });
    expect(sink.events()[0].messages[0].image.sha256).toBe(
      createHash('sha256').update('später').digest('base64'),
    );
  });

  test('a file that is gone is told of as an error', async () => {
    gateway.media.fail('gone');
    await receive(Buffer.from('weg'));
    await until('the webhook', () => sink.received.length === 1);
    expect(sink.events()[0].messages[0]).toMatchObject({
      type: 'unsupported',
      errors: [{ code: 131052 }],
    });
    gateway.media.fail('no');
  });
});

test.each<[string | undefined, ReturnType<typeof readRange>]>([
  [undefined, undefined],
  ['bytes=0-9', { first: 0, last: 9 }],
  ['bytes=5-', { first: 5, last: 99 }],
  ['bytes=-10', { first: 90, last: 99 }],
  ['bytes=-1000', { first: 0, last: 99 }],
  ['bytes=90-1000', { first: 90, last: 99 }],
  ['bytes=100-', 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=9-5', undefined],
  ['bytes=-', undefined],
  ['bytes=0-1,3-4', undefined],
  ['items=0-1', undefined],
])('range %s', (header, range) => {
  expect(readRange(header, 100)).toEqual(range);
});
