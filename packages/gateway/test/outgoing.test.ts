// Where the gateway goes on behalf of what others wrote: never to a private address, never to a second answer of the name
// server, never across a redirect to another host, never without end.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAddressRules } from '../src/outgoing/address-rules.ts';
import { createOutgoingRequests, type Resolve } from '../src/outgoing/outgoing-requests.ts';

describe('addresses', () => {
  const rules = createAddressRules([]);
  test.each([
    '127.0.0.1',
    '127.8.8.8',
    '0.0.0.0',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '198.18.0.1',
    '::1',
    '::',
    'fe80::1',
    'fc00::1',
    'fd12::1',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    'localhost',
    '',
    '2130706433',
  ])('%s is refused', (address) => {
    expect(rules.allows(address)).toBe(false);
  });

  test.each(['93.184.216.34', '2606:2800:220:1:248:1893:25c8:1946'])('%s is public', (address) => {
    expect(rules.allows(address)).toBe(true);
    expect(rules.lists(address)).toBe(false);
  });

  test('listed ranges are allowed, and nothing beside them', () => {
    const listed = createAddressRules(['loopback', '10.1.0.0/16']);
    expect(listed.allows('127.0.0.1') && listed.allows('::1')).toBe(true);
    expect(listed.allows('10.1.2.3') && listed.lists('10.1.2.3')).toBe(true);
    expect(listed.allows('10.2.2.3')).toBe(false);
    expect(() => createAddressRules(['everything'])).toThrow('configuration');
  });
});

describe('requests', () => {
  let hits = 0;
  let port = 0;
  const server = createServer((request, response) => {
    hits += 1;
    const path = request.url ?? '/';
    if (path === '/big') response.end('x'.repeat(5000));
    else if (path === '/endless') response.write('x');
    else if (path === '/silent') return;
    else if (path === '/away') response.writeHead(302, { location: 'http://other.test/' }).end();
    else if (path === '/port') response.writeHead(302, { location: 'http://sink.test:1/' }).end();
    else if (path === '/here') response.writeHead(302, { location: '/ok' }).end();
    else if (path === '/circle') response.writeHead(302, { location: '/circle' }).end();
    else if (path === '/file') response.writeHead(302, { location: 'file:///etc/passwd' }).end();
    else response.writeHead(200, { 'content-type': 'image/png' }).end('ok');
  });
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const get = async (
    url: string,
    options: {
      resolve?: Resolve;
      allowed?: string[];
      timeoutMs?: number;
      redirectsMax?: number;
    } = {},
  ) => {
    await using outgoing = createOutgoingRequests({
      rules: createAddressRules(options.allowed ?? ['loopback']),
      resolve: options.resolve ?? (async () => ['127.0.0.1']),
    });
    return await outgoing.send({
      method: 'GET',
      url,
      timeoutMs: options.timeoutMs ?? 5000,
      answerBytesMax: 1000,
      redirectsMax: options.redirectsMax ?? 3,
    });
  };
  const failed = (reason: string) => ({ outcome: 'failed', reason });
  const at = (path: string) => `http://sink.test:${port}${path}`;

  test('a name is connected to where it resolved', async () => {
    expect(await get(at('/ok'))).toMatchObject({
      outcome: 'answer',
      status: 200,
      contentType: 'image/png',
      body: Buffer.from('ok'),
    });
  });

  test('rebinding: the name server is asked once, and its answer is where the connection goes', async () => {
    let asked = 0;
    const answers = [['93.184.216.34'], ['127.0.0.1']];
    const before = hits;
    const resolve: Resolve = async () => answers[Math.min(asked++, 1)]!;
    // Checked as public, and so contacted there (unreachable here), never at the second answer.
    const answer = await get(`https://rebind.test:${port}/ok`, {
      resolve,
      allowed: [],
      timeoutMs: 700,
    });
    expect(answer.outcome).toBe('failed');
    expect(asked).toBe(1);
    expect(hits).toBe(before);
  });

  test('rebinding the other way, and one private address among public ones', async () => {
    const before = hits;
    const mixed: Resolve = async () => ['93.184.216.34', '127.0.0.1'];
    expect(await get(at('/ok'), { resolve: mixed, allowed: [] })).toEqual(
      failed('address-refused'),
    );
    const private_: Resolve = async () => ['127.0.0.1'];
    expect(await get(at('/ok'), { resolve: private_, allowed: [] })).toEqual(
      failed('address-refused'),
    );
    expect(hits).toBe(before);
  });

  test.each([
    ['http://127.0.0.1:PORT/ok', 'address-refused'],
    ['http://[::1]:PORT/ok', 'address-refused'],
    ['http://[::ffff:127.0.0.1]:PORT/ok', 'address-refused'],
    ['http://2130706433:PORT/ok', 'address-refused'],
    ['http://0x7f.1:PORT/ok', 'address-refused'],
    ['http://169.254.169.254/latest/meta-data', 'address-refused'],
    ['file:///etc/passwd', 'url-refused'],
    ['ftp://example.org/', 'url-refused'],
    ['http://user:password@sink.test/', 'url-refused'],
    ['not a url', 'url-refused'],
  ])('%s is refused without a connection', async (url, reason) => {
    const before = hits;
    const resolve: Resolve = async (name) => [name];
    expect(await get(url.replace('PORT', String(port)), { allowed: [], resolve })).toEqual(
      failed(reason),
    );
    expect(hits).toBe(before);
  });

  test('plain http goes only to listed addresses', async () => {
    const resolve: Resolve = async () => ['93.184.216.34'];
    expect(await get('http://example.test/', { resolve })).toEqual(failed('url-refused'));
  });

  test.each([
    ['/away', 'redirect-refused'],
    ['/port', 'redirect-refused'],
    ['/circle', 'redirect-refused'],
    ['/file', 'url-refused'],
    ['/big', 'too-large'],
  ])('%s ends as %s', async (path, reason) => {
    expect(await get(at(path))).toEqual(failed(reason));
  });

  test('a redirect on the same host is followed where redirects are allowed', async () => {
    expect(await get(at('/here'))).toMatchObject({ outcome: 'answer', status: 200 });
    expect(await get(at('/here'), { redirectsMax: 0 })).toEqual(failed('redirect-refused'));
  });

  test.each(['/silent', '/endless'])('%s is given up after its time', async (path) => {
    expect(await get(at(path), { timeoutMs: 300 })).toEqual(failed('timed-out'));
  });

  test('a name that is not there, and a port where nobody listens', async () => {
    const resolve: Resolve = async () => {
      throw new Error('ENOTFOUND');
    };
    expect(await get(at('/ok'), { resolve })).toEqual(failed('unresolved'));
    expect(await get('http://127.0.0.1:1/')).toEqual(failed('unreachable'));
  });
});
