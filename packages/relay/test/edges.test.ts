// The relay's edges: refusals, headers, sockets, health, log and stopping (H1–H3).

import { mkdir, mkdtemp, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getAccount, lookUpNumber, setPin } from '@siegel/protocol/relay';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../src/config.ts';
import { startRelay } from '../src/index.ts';
import { freshNumber, randomText, registerPerson, type TestPerson } from './person.ts';
import { failureOf, openSocket, type RelayTest, startTestRelay } from './relay-world.ts';

let town: RelayTest;
let alice: TestPerson;
let pages: string;
beforeAll(async () => {
  pages = await mkdtemp(join(tmpdir(), 'siegel-pages-'));
  await mkdir(join(pages, 'assets'));
  await writeFile(join(pages, 'index.html'), '<!doctype html><title>Siegel</title>');
  await writeFile(join(pages, 'assets', 'app-1a2b.js'), 'export {};');
  town = await startTestRelay({
    webApps: [
      { name: 'messenger', folder: pages },
      { name: 'business', folder: pages, port: 0 },
    ],
    webOrigins: ['https://app.example'],
  });
  alice = await registerPerson(town);
});
afterAll(() => town.close());

const post = (path: string, body: string, headers: Record<string, string> = {}) =>
  town.send(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function messageOf(response: Response): Promise<string> {
  const body = (await response.json()) as { error: { message: string } };
  return body.error.message;
}

describe('refusals', () => {
  it('H1 what is malformed is refused with a sentence that names the field, not its value', async () => {
    const unknown = await post('/v1/registrations', '{"number":"+4930123456","colour":"red"}');
    expect(unknown.status).toBe(400);
    expect(await messageOf(unknown)).toContain('Unknown field: colour.');
    const wrong = await post('/v1/registrations', '{"number":"030 4711-0815"}');
    const sentence = await messageOf(wrong);
    expect(sentence).toContain('number');
    expect(sentence).not.toContain('4711');
    for (const body of ['{', '[]', '"x"', '1', 'null', '{"__proto__":{"a":1}}']) {
      const response = await post('/v1/registrations', body);
      expect(await failureOf(response)).toEqual({ status: 400, code: 'request-invalid' });
    }
  });

  it('H1 unknown addresses, methods and media types have their own names', async () => {
    const missing = await town.send('/v1/nothing', { method: 'POST' });
    expect(await failureOf(missing)).toEqual({ status: 404, code: 'not-found' });
    const method = await town.send('/v1/account', { method: 'DELETE' });
    expect(method.headers.get('allow')).toBe('GET');
    expect(await failureOf(method)).toEqual({ status: 405, code: 'method-not-allowed' });
    const type = await town.send('/v1/registrations', {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: 'number=1',
    });
    expect(await failureOf(type)).toEqual({ status: 415, code: 'media-type-unsupported' });
    const large = await post('/v1/registrations', JSON.stringify({ number: 'x'.repeat(600_000) }));
    expect(await failureOf(large)).toEqual({ status: 413, code: 'request-too-large' });
  });

  it('H1 whoever has no good token is not told why, and is not parsed', async () => {
    const answers = await Promise.all([
      town.send('/v1/account'),
      town.send('/v1/account', { headers: bearer('x') }),
      town.send('/v1/account', { headers: bearer(randomText(32)) }),
      town.send('/v1/account', { headers: { authorization: `Basic ${alice.token}` } }),
      town.send('/v1/account', { headers: bearer(town.operatorToken) }),
      town.send('/v1/admin/templates', { headers: bearer(alice.token) }),
      post('/v1/look-ups', '{"nonsense":1}', bearer(randomText(32))),
    ]);
    const bodies = await Promise.all(answers.map((answer) => answer.text()));
    expect(new Set(bodies).size).toBe(1);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
  });

  it('H1 a path parameter and a body field of its name must agree', async () => {
    const response = await town.send('/v1/blocks/00000000-0000-4000-8000-000000000001', {
      method: 'PUT',
      headers: { ...bearer(alice.token), 'content-type': 'application/json' },
      body: '{"accountId":"00000000-0000-4000-8000-000000000002"}',
    });
    expect(await failureOf(response)).toEqual({ status: 400, code: 'request-invalid' });
  });

  it('H1 guessing tokens ends in a pause for the address', async () => {
    const strict = await startTestRelay({ rateFactor: 1 });
    try {
      const codes: string[] = [];
      for (let round = 0; round < 61; round += 1) {
        const response = await strict.send('/v1/account', { headers: bearer(randomText(32)) });
        codes.push((await failureOf(response)).code);
      }
      expect(codes.at(-1)).toBe('too-many-requests');
      expect(codes.at(-2)).toBe('unauthenticated');
    } finally {
      await strict.close();
    }
  });

  it('H1 a device that asks too often is told when to come back', async () => {
    const strict = await startTestRelay({ rateFactor: 1 });
    try {
      const person = await registerPerson(strict);
      const ask = () =>
        strict.send('/v1/look-ups', {
          method: 'POST',
          headers: { ...bearer(person.token), 'content-type': 'application/json' },
          body: JSON.stringify({ number: freshNumber() }),
        });
      for (let round = 0; round < 30; round += 1) expect((await ask()).status).toBe(404);
      const refused = await ask();
      expect(refused.status).toBe(429);
      expect(refused.headers.get('retry-after')).toBe('6');
      expect(await refused.json()).toEqual({ outcome: 'rate-limited', retryAfterSeconds: 6 });
      strict.clock.now += 6000;
      expect((await ask()).status).toBe(404);
    } finally {
      await strict.close();
    }
  });

  it('H1 addresses that are no addresses have a name too', async () => {
    for (const path of [
      '/v1/blocks/%zz',
      '/v1/%00',
      `/v1/numbers/${'1'.repeat(5000)}/certificate`,
    ]) {
      const response = await town.send(path, { headers: bearer(alice.token) });
      expect([400, 404]).toContain((await failureOf(response)).status);
    }
    const head = await town.send('/v1/account', { method: 'HEAD' });
    expect(head.status).toBe(405);
  });

  it('H1 what is no HTTP is refused in the same form, and the connection ends', async () => {
    const socket = connect(town.relay.port, '127.0.0.1');
    const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
    socket.on('error', () => {});
    socket.write('GET /health HTTP/1.1\r\nNonsense without a colon\r\n\r\n');
    const answer = await new Promise<string>((resolve) => {
      socket.once('data', (data) => resolve(data.toString()));
    });
    expect(answer).toContain('400');
    expect(answer).toContain('request-invalid');
    await closed;
  });
});

describe('headers and origins', () => {
  it('H1 an answer is never cached, sniffed or framed, and sends no referrer', async () => {
    const { headers } = await town.send('/v1/operator');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('access-control-allow-origin')).toBeNull();
  });

  it('H1 only our own web apps’ pages read answers across origins', async () => {
    const ask = (origin: string, method = 'GET') =>
      town.send('/v1/operator', { method, headers: { origin } });
    const business = town.relay.webApps.find(({ name }) => name === 'business')?.url ?? '';
    for (const origin of ['https://app.example', business]) {
      const allowed = await ask(origin);
      expect(allowed.headers.get('access-control-allow-origin')).toBe(origin);
      const preflight = await ask(origin, 'OPTIONS');
      expect(preflight.status).toBe(204);
      expect(preflight.headers.get('access-control-allow-headers')).toContain('Authorization');
    }
    const foreign = await ask('https://evil.example');
    expect(foreign.headers.get('access-control-allow-origin')).toBeNull();
    expect((await ask('https://evil.example', 'OPTIONS')).status).toBe(405);
  });

  it('H1 a web app’s page may load and call nothing foreign, and no path leads out of its folder', async () => {
    const page = await town.send('/');
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const policy = page.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("script-src 'self'");
    expect(policy).not.toContain('unsafe');
    expect(policy).not.toContain('*');
    const script = await town.send('/assets/app-1a2b.js');
    expect(script.headers.get('cache-control')).toContain('immutable');
    expect((await town.send('/chats/42')).status).toBe(200);
    expect((await town.send('/missing.js')).status).toBe(404);
    expect((await town.send('/v1/missing')).status).toBe(404);
    expect((await town.send('/%2e%2e/%2e%2e/etc/passwd.txt')).status).toBe(404);
    const business = town.relay.webApps.find(({ name }) => name === 'business')?.url ?? '';
    const other = await fetch(`${business}/siegel.json`);
    expect(await other.json()).toEqual({ relay: town.relay.url });
    const otherPolicy = (await fetch(business)).headers.get('content-security-policy') ?? '';
    expect(otherPolicy).toContain(`connect-src 'self' ${town.relay.url}`);
  });
});

describe('sockets', () => {
  it('M6 an upgrade needs our subprotocol, our path and no foreign origin', async () => {
    const { url } = town.relay;
    await expect(openSocket(url, { protocol: 'siegel.v9' })).rejects.toThrow('400');
    await expect(openSocket(url, { origin: 'https://evil.example' })).rejects.toThrow('403');
    const own = await openSocket(url, { origin: url });
    own.close();
    await own.closed;
  });

  it('H1 sockets of one address are counted', async () => {
    const few = await startTestRelay({ socketsPerAddress: 2 });
    try {
      const [first] = [await openSocket(few.relay.url), await openSocket(few.relay.url)];
      await expect(openSocket(few.relay.url)).rejects.toThrow('429');
      first.close();
      await first.closed;
      await expect.poll(() => openSocket(few.relay.url).then(() => 'open', String)).toBe('open');
    } finally {
      await few.close();
    }
  });
});

describe('operations', () => {
  it('H2 neither log nor metrics hold tokens, numbers or codes', async () => {
    const person = await registerPerson(town, { newPin: '864209' });
    await town.call(lookUpNumber, { number: alice.number }, person.token);
    await town.call(setPin, { pin: '975310' }, person.token);
    const metrics = await (await town.send('/metrics')).text();
    const written = town.log() + metrics;
    const secrets = [person.token, town.operatorToken, '864209', '975310'];
    const personal = [person.number, alice.number, person.accountId, person.signedList];
    for (const one of [...secrets, ...personal]) expect(written).not.toContain(one);
    expect(metrics).toContain('endpoint="lookUpNumber",outcome="person"');
    expect(metrics).toContain('siegel_relay_sockets');
  });

  it('H2 a failure inside shows its kind in the log and nothing to the caller', async () => {
    const broken = await startTestRelay();
    const person = await registerPerson(broken);
    await broken.test.database.query('ALTER TABLE numbers RENAME TO elsewhere');
    const response = await broken.send('/v1/look-ups', {
      method: 'POST',
      headers: { ...bearer(person.token), 'content-type': 'application/json' },
      body: JSON.stringify({ number: freshNumber() }),
    });
    const body = await response.text();
    expect(response.status).toBe(500);
    expect(body).toContain('"internal"');
    expect(body).not.toContain('numbers');
    expect(broken.log()).toContain('"sqlState":"42P01"');
    expect(broken.log()).not.toContain('+4930');
    await broken.close();
  });

  it('H1 health answers while alive, ready only with its store', async () => {
    const other = await startTestRelay();
    expect((await other.send('/health')).status).toBe(200);
    expect((await other.send('/ready')).status).toBe(200);
    await other.test.database.close();
    expect((await other.send('/health')).status).toBe(200);
    expect((await other.send('/ready')).status).toBe(503);
    const account = await other.send('/v1/account', { headers: bearer(randomText(32)) });
    expect(await failureOf(account)).toEqual({ status: 503, code: 'database-unavailable' });
    await other.close();
  });

  it('H2 the town’s SMS are shown to this machine only, by its own name', async () => {
    const { number } = alice;
    const path = `/sms-inbox?number=${encodeURIComponent(number)}`;
    const rebound = await rawGet(town.relay.port, path, 'evil.example');
    expect(rebound).toContain('404');
    const fine = await rawGet(town.relay.port, path, 'localhost');
    expect(fine).toContain('200 OK');
    const real = await startTestRelay({ town: false, sms: { url: 'http://127.0.0.1:9/' } });
    const response = await real.send(path);
    expect(response.status).toBe(404);
    await real.close();
  });

  function rawGet(port: number, path: string, host: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1');
      let answer = '';
      socket.on('data', (data) => {
        answer += data.toString();
      });
      socket.on('end', () => resolve(answer));
      socket.on('error', reject);
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: close\r\n\r\n`);
    });
  }

  it('H2 the operator’s keys lie in a file for nobody else', async () => {
    const { mode } = await stat(join(town.folder, 'keys.json'));
    expect(mode & 0o777).toBe(0o600);
  });

  it('H3 stopping finishes requests under way and says bye to sockets', async () => {
    const stopping = await startTestRelay();
    const person = await registerPerson(stopping);
    const socket = await openSocket(stopping.relay.url);
    socket.send({ type: 'hello', token: person.token });
    await socket.next('ready');
    const { database } = stopping.test;
    let closed: Promise<void> = Promise.resolve();
    const { underWay } = await database.transaction(async (transaction) => {
      // The request waits for this row until the stop has begun.
      await transaction.query('SELECT 1 FROM accounts WHERE account_id = $1 FOR UPDATE', [
        person.accountId,
      ]);
      const begun = stopping.call(setPin, { pin: '123456' }, person.token);
      await expect.poll(isWaiting).toBe(true);
      closed = stopping.relay.close();
      expect((await socket.next('bye'))['reason']).toBe('shutting-down');
      return { underWay: begun };
    });
    expect((await underWay).outcome).toBe('set');
    await closed;

    async function isWaiting() {
      const { rows } = await database.query('SELECT 1 FROM pg_locks WHERE NOT granted');
      return rows.length > 0;
    }
    await expect(stopping.send('/health')).rejects.toThrow();
    await stopping.close();
  });

  it('H3 what was answered is there after a restart', async () => {
    const other = await town.another({ webApps: [] });
    const response = await fetch(`${other.url}/v1/account`, { headers: bearer(alice.token) });
    const own = await town.call(getAccount, {}, alice.token);
    expect(await response.json()).toMatchObject({ accountId: own.accountId });
    await other.close();
  });
});

describe('configuration', () => {
  const operatorToken = randomText(32);
  const options = { operatorToken, keysFile: '/nowhere/keys.json', blobFolder: '/nowhere' };

  it('H1 a public address needs TLS or a proxy in front', async () => {
    const start = startRelay({ ...options, host: '0.0.0.0', databaseUrl: 'postgres://x' });
    await expect(start).rejects.toThrow('0.0.0.0 is a public address');
    const environment = { SIEGEL_OPERATOR_TOKEN: operatorToken, SIEGEL_HOST: '192.0.2.1' };
    expect(() => readConfig(environment)).toThrow('SIEGEL_BEHIND_PROXY');
    const behind = readConfig({ ...environment, SIEGEL_BEHIND_PROXY: '1' });
    expect(behind).toMatchObject({ host: '192.0.2.1', behindProxy: true, port: 4400 });
  });

  it('H1 what cannot be used is named', () => {
    expect(() => readConfig({})).toThrow('SIEGEL_OPERATOR_TOKEN is missing');
    expect(() => readConfig({ SIEGEL_OPERATOR_TOKEN: operatorToken, SIEGEL_PORT: 'http' })).toThrow(
      'SIEGEL_PORT must be a whole number',
    );
    const folders = {
      SIEGEL_MESSENGER_FOLDER: 'a',
      SIEGEL_CONSOLE_FOLDER: 'c',
      SIEGEL_PORT: '5000',
    };
    expect(readConfig({ SIEGEL_OPERATOR_TOKEN: operatorToken, ...folders }).webApps).toEqual([
      { name: 'messenger', folder: 'a' },
      { name: 'console', folder: 'c', port: 5002 },
    ]);
  });

  it('H1 without a way to send SMS it does not start', async () => {
    const start = startRelay(
      { ...options, keysFile: join(town.folder, 'keys.json'), port: 0, logLevel: 'silent' },
      { database: town.test.database },
    );
    await expect(start).rejects.toThrow('SIEGEL_SMS_URL');
  });
});
