// The tools that look at the line and spoil it: the wire tap sees what was written, the bad line
// does what its seed says.
import { createServer } from 'node:http';
import { signatureOf } from '@siegel/bot';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { faultProxy, findCanary, tcpCapture, webhookSink } from '../src/index.ts';

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one[Symbol.asyncDispose]();
});
const kept = <T extends AsyncDisposable>(one: T): T => {
  open.push(one);
  return one;
};

/** Counts requests, sends every socket message back. */
async function startEcho() {
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    request.pipe(response);
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return kept({
    url: `http://127.0.0.1:${port}`,
    requests: () => requests,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

async function openSocket(url: string) {
  const socket = new WebSocket(url.replace('http', 'ws'));
  const received: string[] = [];
  socket.on('message', (data: Buffer) => received.push(data.toString('utf8')));
  socket.on('error', () => {});
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  kept({
    async [Symbol.asyncDispose]() {
      socket.terminate();
    },
  });
  return { socket, received };
}

describe('the canary', () => {
  const canary = 'Der Kanarienvogel trägt heute „Gelb“ + 1';

  test('is found in every form it could have', () => {
    const plain = Buffer.from(canary);
    const forms = [
      plain,
      Buffer.from(canary, 'utf16le'),
      Buffer.from(JSON.stringify({ text: canary })),
      Buffer.from(
        JSON.stringify(canary).replace(/[^ -~]/g, (one) => {
          return `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`;
        }),
      ),
      Buffer.from(encodeURIComponent(canary)),
      Buffer.from(plain.toString('hex')),
      ...[0, 1, 2, 3].map((lead) =>
        Buffer.from(Buffer.concat([Buffer.from('x'.repeat(lead)), plain]).toString('base64')),
      ),
      Buffer.from(Buffer.concat([Buffer.from('ab'), plain, plain]).toString('base64url')),
    ];
    for (const form of forms) {
      const around = Buffer.concat([Buffer.alloc(100, 1), form, Buffer.alloc(100, 2)]);
      expect(findCanary(around, canary)).toBeDefined();
    }
  });

  test('is not found where it is not', () => {
    expect(findCanary(Buffer.from(canary.slice(1)), canary)).toBeUndefined();
    expect(findCanary(Buffer.alloc(10_000), canary)).toBeUndefined();
  });

  test('is seen by the tap in a request, an answer and a masked frame, and else nowhere', async () => {
    const echo = await startEcho();
    const requestTap = kept(await tcpCapture(echo.url));
    await (await fetch(requestTap.url, { method: 'POST', body: `a ${canary}` })).text();
    expect(requestTap.contains(canary)).toBe(true);
    const socketTap = kept(await tcpCapture(echo.url));
    const { socket, received } = await openSocket(socketTap.url);
    socket.send('something else');
    await expect.poll(() => received.length).toBe(1);
    expect(socketTap.contains(canary)).toBe(false);
    socket.send(`in a frame: ${canary}`);
    await expect.poll(() => received.length).toBe(2);
    expect(socketTap.contains(canary)).toBe(true);
    // The client's half alone is masked: only taking the mask off shows it.
    const [connection] = socketTap.connections;
    expect(findCanary(connection!.sent(), canary)).toBeUndefined();
  });
});

describe('the bad line', () => {
  test('passes everything while it has no faults', async () => {
    const echo = await startEcho();
    const proxy = kept(await faultProxy(echo.url, { seed: 1 }));
    const body = 'x'.repeat(200_000);
    const answer = await fetch(proxy.url, { method: 'POST', body });
    expect(await answer.text()).toBe(body);
    const { socket, received } = await openSocket(proxy.url);
    for (let index = 0; index < 50; index += 1) socket.send(String(index));
    await expect.poll(() => received.length).toBe(50);
    expect(received).toEqual(Array.from({ length: 50 }, (_, index) => String(index)));
  });

  test('drops, doubles and reorders frames by its seed', async () => {
    const echo = await startEcho();
    const run = async (seed: number) => {
      const proxy = kept(
        await faultProxy(echo.url, { seed, faults: { drop: 0.1, duplicate: 0.1, reorder: 0.1 } }),
      );
      const { socket, received } = await openSocket(proxy.url);
      for (let index = 0; index < 100; index += 1) socket.send(`${index}`);
      // Nothing is under way any more when the books balance.
      const expected = () => 100 - proxy.counts().drop + proxy.counts().duplicate;
      await expect.poll(() => received.length - expected()).toBe(0);
      return { received, counts: proxy.counts() };
    };
    const first = await run(42);
    expect(first.received).not.toEqual(first.received.toSorted((a, b) => Number(a) - Number(b)));
    for (const fault of ['drop', 'duplicate', 'reorder'] as const) {
      expect(first.counts[fault]).toBeGreaterThan(0);
    }
    expect(await run(42)).toEqual(first);
    expect(await run(43)).not.toEqual(first);
  });

  test('loses requests, loses answers, repeats requests', async () => {
    const echo = await startEcho();
    const proxy = kept(await faultProxy(echo.url, { seed: 7 }));
    const post = () => fetch(proxy.url, { method: 'POST', body: 'hello' });
    proxy.set({ loseRequest: 1 });
    await expect(post()).rejects.toThrow();
    expect(echo.requests()).toBe(0);
    proxy.set({ loseRequest: 0, loseAnswer: 1 });
    await expect(post()).rejects.toThrow();
    expect(echo.requests()).toBe(1);
    proxy.set({ loseAnswer: 0, repeatRequest: 1 });
    expect(await (await post()).text()).toBe('hello');
    expect(echo.requests()).toBe(3);
    expect(proxy.counts()).toMatchObject({ loseRequest: 1, loseAnswer: 1, repeatRequest: 1 });
  });

  test('cuts connections and stays down until it is up again', async () => {
    const echo = await startEcho();
    const proxy = kept(await faultProxy(echo.url, { seed: 7 }));
    const { socket } = await openSocket(proxy.url);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    proxy.down(true);
    await closed;
    await expect(fetch(proxy.url)).rejects.toThrow();
    proxy.down(false);
    expect((await fetch(proxy.url)).status).toBe(200);
  });
});

describe('the webhook sink', () => {
  const secrets = { appSecret: 'an app secret', verifyToken: 'a verify token', now: () => 0 };

  test('does the handshake and keeps bytes with the word on their signature', async () => {
    const sink = kept(await webhookSink(secrets));
    const hello = `${sink.url}?hub.mode=subscribe&hub.challenge=42&hub.verify_token=`;
    expect(await (await fetch(`${hello}a%20verify%20token`)).text()).toBe('42');
    expect((await fetch(`${hello}wrong`)).status).toBe(403);
    const body = '{"a":"\\u00fc"}';
    const send = (signature: string) =>
      fetch(sink.url, { method: 'POST', headers: { 'x-hub-signature-256': signature }, body });
    expect((await send(signatureOf(Buffer.from(body), 'an app secret'))).status).toBe(200);
    sink.answerNext(500, 'reset');
    expect((await send('sha256=00')).status).toBe(500);
    await expect(send('sha256=00')).rejects.toThrow();
    expect(sink.received.map(({ signed }) => signed)).toEqual([true, false, false]);
    expect(sink.received[0]?.bytes.toString()).toBe(body);
    await sink.waitFor(({ signed }) => signed);
    await expect(sink.waitFor(() => false, { timeoutMs: 20 })).rejects.toThrow('20 ms');
  });
});
