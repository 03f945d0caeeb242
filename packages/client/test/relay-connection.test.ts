// Calls and blobs against real HTTP: answers, refusals, faults of the network, and what is never sent twice.

import { createHash, randomBytes } from 'node:crypto';
import { SiegelError } from '@siegel/protocol/errors';
import { ClientId, ConversationId, NumericId } from '@siegel/protocol/ids';
import {
  getConversation,
  getOperator,
  listConversations,
  openConversation,
  submitMessage,
} from '@siegel/protocol/relay';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectionLimits } from '../src/connection/connection-limits.ts';
import { nodeNetwork } from '../src/connection/node-network.ts';
import { createRelayConnection, type RelayConnection } from '../src/relay-connection.ts';
import { type ContractServer, json, startContractServer } from './contract-server.ts';
import { createTestClock, type TestClock, until } from './test-clock.ts';

const token = 'A'.repeat(43);
const conversationId = ConversationId.parse('11111111-2222-4333-8444-555555555555');
const message = {
  conversationId,
  generation: 0,
  epoch: 1,
  class: 'message',
  kind: 'free-form',
  clientId: ClientId.parse('99999999-2222-4333-8444-555555555555'),
  commitment: 'c'.repeat(43),
  mls: 'bWxz',
} as const;
const accepted = { outcome: 'accepted', sequence: 7, acceptedAt: 5, duplicate: false };

let server: ContractServer;
let clock: TestClock;
let connection: RelayConnection;

beforeEach(async () => {
  server = await startContractServer();
  clock = createTestClock();
  connection = createRelayConnection({ ...clock, ...nodeNetwork, url: server.url, token });
});
afterEach(async () => {
  await connection.close();
  await server.close();
});

/** Lets back-off pass until the call has ended. */
async function settled<Result>(call: Promise<Result>): Promise<Result> {
  let over = false;
  const ended = call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  void ended.then(() => {
    over = true;
    return undefined;
  });
  await until(
    () => over,
    'the call ends',
    () => {
      // Only back-off is let pass, never a time-out.
      if (clock.waiting.some((after) => after <= connectionLimits.retryAfterMsMax)) clock.pass(100);
    },
  );
  const result = await ended;
  if ('error' in result) throw result.error;
  return result.value;
}

test('a call puts fields into path and body, and answers with the named outcome', async () => {
  server.answers = [json(200, { ...accepted, ofANewerRelay: 1 })];
  const answer = await connection.call(submitMessage, message);
  expect(answer).toEqual(accepted);
  const [seen] = server.seen;
  expect(seen?.method).toBe('POST');
  expect(seen?.url).toBe(`/v1/conversations/${conversationId}/messages`);
  expect(seen?.headers.authorization).toBe(`Bearer ${token}`);
  const { conversationId: _, ...body } = message;
  expect(JSON.parse(String(seen?.body))).toEqual(body);
});

test('a GET puts fields into the query and sends no body', async () => {
  server.answers = [json(200, { outcome: 'page', conversations: [], more: false })];
  await connection.call(listConversations, { limit: 5 });
  expect(server.seen[0]?.url).toBe('/v1/conversations?limit=5');
  expect(server.seen[0]?.body.length).toBe(0);
  expect(server.seen[0]?.headers['content-type']).toBeUndefined();
});

test('an endpoint for anyone is called without the token', async () => {
  server.answers = [json(200, { outcome: 'operator', issuer: 'o', keys: [], now: 1 })];
  await connection.call(getOperator, {});
  expect(server.seen[0]?.headers.authorization).toBeUndefined();
});

test('a refusal of the contract is an answer and is not repeated', async () => {
  server.answers = [json(429, { outcome: 'pair-rate', retryAfterSeconds: 6 })];
  const answer = await connection.call(submitMessage, message);
  expect(answer).toEqual({ outcome: 'pair-rate', retryAfterSeconds: 6 });
  expect(server.seen.length).toBe(1);
});

test('a device endpoint without a token is refused before anything is sent', async () => {
  const bare = createRelayConnection({ ...clock, ...nodeNetwork, url: server.url });
  await expect(bare.call(submitMessage, message)).rejects.toMatchObject({
    code: 'unauthenticated',
  });
  expect(server.seen.length).toBe(0);
});

test('a request that breaks the contract is never sent', async () => {
  const wrong = { ...message, commitment: 'short' };
  await expect(connection.call(submitMessage, wrong)).rejects.toMatchObject({
    code: 'request-invalid',
  });
  expect(server.seen.length).toBe(0);
});

test('401 ends as unauthenticated, at once', async () => {
  server.answers = [json(401, { error: { code: 'unauthenticated' } })];
  await expect(connection.call(submitMessage, message)).rejects.toMatchObject({
    code: 'unauthenticated',
  });
  expect(server.seen.length).toBe(1);
});

test('a submit whose answer was lost is sent again with the same client id', async () => {
  server.answers = [(_seen, response) => response.destroy(), json(200, accepted)];
  const answer = await settled(connection.call(submitMessage, message));
  expect(answer.outcome).toBe('accepted');
  expect(server.seen.length).toBe(2);
  expect(String(server.seen[1]?.body)).toBe(String(server.seen[0]?.body));
});

test('a claim whose answer was lost is not sent again', async () => {
  server.answers = [(_seen, response) => response.destroy()];
  const call = connection.call(openConversation, {
    with: { kind: 'business', phoneNumberId: NumericId.parse('100') },
  });
  await expect(settled(call)).rejects.toMatchObject({ code: 'relay-unreachable' });
  expect(server.seen.length).toBe(1);
});

test('a claim that was refused before anything was done is sent again', async () => {
  server.answers = [
    json(503, { error: { code: 'overloaded' } }),
    json(422, { outcome: 'undeliverable' }),
  ];
  const answer = await settled(connection.call(openConversation, { with: { kind: 'own' } }));
  expect(answer.outcome).toBe('undeliverable');
});

test('trying ends after a bounded number of attempts', async () => {
  server.answers = [json(500, { error: { code: 'internal' } })];
  await expect(settled(connection.call(submitMessage, message))).rejects.toMatchObject({
    code: 'relay-unreachable',
    retryable: true,
  });
  expect(server.seen.length).toBe(connectionLimits.attemptsMax);
});

test('a relay that is down is unreachable, and reachable when it is back', async () => {
  await server.kill();
  await expect(settled(connection.call(submitMessage, message))).rejects.toMatchObject({
    code: 'relay-unreachable',
  });
  await server.restart();
  server.answers = [json(200, accepted)];
  expect((await settled(connection.call(submitMessage, message))).outcome).toBe('accepted');
});

test('Retry-After is kept; a longer one than we wait for ends the call', async () => {
  const busy = { error: { code: 'too-many-requests' } };
  server.answers = [json(429, busy, { 'retry-after': '3' }), json(200, accepted)];
  const call = connection.call(submitMessage, message);
  await until(() => clock.waiting.includes(3000), 'the wish is kept');
  clock.pass(3000);
  expect((await call).outcome).toBe('accepted');
  server.answers = [json(429, busy, { 'retry-after': '3600' })];
  await expect(connection.call(submitMessage, message)).rejects.toMatchObject({
    code: 'relay-unreachable',
  });
});

test('a slow answer is given up after the time-out', async () => {
  server.answers = [() => undefined];
  const call = connection.call(getConversation, { conversationId }, { attemptsMax: 1 });
  await until(() => server.seen.length === 1, 'the request arrives');
  clock.pass(connectionLimits.requestTimeoutMs);
  await expect(call).rejects.toMatchObject({ code: 'relay-unreachable' });
});

test.each([
  ['HTML of a proxy', 200, '<html>'],
  ['an unknown outcome', 200, '{"outcome":"celebrated"}'],
  ['an inherited name', 200, '{"outcome":"constructor"}'],
  ['another status than the outcome has', 418, JSON.stringify(accepted)],
  ['missing fields', 200, '{"outcome":"accepted"}'],
  ['an error that trying again does not heal', 400, '{"error":{"code":"request-invalid"}}'],
])('%s ends as relay-refused', async (_name, status, text) => {
  server.answers = [
    (_seen, response) => {
      response.writeHead(status);
      response.end(text);
    },
  ];
  await expect(connection.call(submitMessage, message)).rejects.toMatchObject({
    code: 'relay-refused',
  });
  expect(server.seen.length).toBe(1);
});

test('a redirect is not followed', async () => {
  server.answers = [
    (_seen, response) => {
      response.writeHead(307, { location: 'http://127.0.0.1:1/' });
      response.end();
    },
  ];
  const call = connection.call(submitMessage, message, { attemptsMax: 1 });
  await expect(call).rejects.toBeInstanceOf(SiegelError);
  expect(server.seen.length).toBe(1);
});

test('an answer without end is cut off', async () => {
  server.answers = [
    (_seen, response) => {
      response.writeHead(200);
      const piece = Buffer.alloc(1024 * 1024, 0x20);
      const pour = () => {
        while (!response.destroyed && response.write(piece));
        if (!response.destroyed) response.once('drain', pour);
      };
      pour();
    },
  ];
  await expect(connection.call(submitMessage, message)).rejects.toMatchObject({
    code: 'relay-refused',
  });
});

test('closing ends a call under way', async () => {
  server.answers = [() => undefined];
  const call = connection.call(getConversation, { conversationId });
  await until(() => server.seen.length === 1, 'the request arrives');
  const refused = expect(call).rejects.toMatchObject({ code: 'relay-unreachable' });
  await connection.close();
  await refused;
});

test('only a plain origin is taken as the relay’s address', () => {
  for (const url of ['http://x/path', 'http://u:p@x', 'ftp://x', 'x', 'https://x/?q=1']) {
    expect(() => createRelayConnection({ ...clock, ...nodeNetwork, url })).toThrowError(
      SiegelError,
    );
  }
});

const blobId = 'b'.repeat(22);
const secret = 's'.repeat(22);

test('a blob goes up with exactly its length, and progress is told', async () => {
  const bytes = randomBytes(300_000);
  server.answers = [
    (_seen, response) => {
      response.writeHead(204);
      response.end();
    },
  ];
  const told: number[] = [];
  const onProgress = (done: number) => told.push(done);
  const answer = await connection.uploadBlob({ blobId, bytes, onProgress });
  expect(answer.outcome).toBe('stored');
  const [seen] = server.seen;
  expect(seen?.url).toBe(`/v1/blobs/${blobId}`);
  expect(seen?.headers['content-length']).toBe('300000');
  expect(digest(seen?.body)).toBe(digest(bytes));
  expect(told.length).toBeGreaterThan(3);
  expect(told.at(-1)).toBe(300_000);
});

test('an upload whose answer was lost counts as stored when the relay has it already', async () => {
  server.answers = [
    (_seen, response) => response.destroy(),
    json(409, { error: { code: 'request-invalid' } }),
  ];
  const upload = connection.uploadBlob({ blobId, bytes: randomBytes(100) });
  expect((await settled(upload)).outcome).toBe('stored');
});

test('a blob that somebody else wrote is no success', async () => {
  server.answers = [json(409, {})];
  await expect(connection.uploadBlob({ blobId, bytes: randomBytes(100) })).rejects.toMatchObject({
    code: 'relay-refused',
  });
});

/** Serves ranges; breaks off after `breakAfter` octets of each answer. */
const serveBlob =
  (bytes: Buffer, breakAfter = Number.POSITIVE_INFINITY) =>
  (seen: { headers: Record<string, unknown> }, response: import('node:http').ServerResponse) => {
    const range = /^bytes=(\d+)-(\d+)$/.exec(String(seen.headers['range'] ?? ''));
    const from = range ? Number(range[1]) : 0;
    const to = range ? Number(range[2]) + 1 : bytes.length;
    response.writeHead(range ? 206 : 200, {
      'content-length': String(to - from),
      ...(range ? { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` } : {}),
    });
    const part = bytes.subarray(from, to);
    if (part.length <= breakAfter) response.end(part);
    else response.write(part.subarray(0, breakAfter), () => response.destroy());
  };

test('a download that breaks goes on where it broke', async () => {
  const bytes = randomBytes(250_000);
  server.answers = [serveBlob(bytes, 100_000)];
  const told: number[] = [];
  const download = connection.downloadBlob({
    blobId,
    secret,
    bytes: bytes.length,
    onProgress: (done) => told.push(done),
  });
  const blob = await settled(download);
  expect(blob.outcome === 'blob' && digest(blob.bytes)).toBe(digest(bytes));
  expect(server.seen[0]?.headers['x-siegel-blob-secret']).toBe(secret);
  expect(server.seen[0]?.headers.authorization).toBeUndefined();
  expect(server.seen.length).toBeGreaterThan(1);
  expect(server.seen[1]?.headers.range).toMatch(/^bytes=[1-9]\d*-249999$/);
  expect(told).toEqual(told.toSorted((a, b) => a - b));
});

test('a part of a blob is asked for by range', async () => {
  const bytes = randomBytes(1000);
  server.answers = [serveBlob(bytes)];
  const part = await connection.downloadBlob({ blobId, secret, bytes: 1000, from: 10, to: 20 });
  expect(part.outcome === 'blob' && digest(part.bytes)).toBe(digest(bytes.subarray(10, 20)));
});

test('a relay that ignores the range is refused', async () => {
  server.answers = [
    (_seen, response) => {
      response.writeHead(206, { 'content-range': 'bytes 0-9/1000' });
      response.end(Buffer.alloc(10));
    },
  ];
  await expect(
    connection.downloadBlob({ blobId, secret, bytes: 1000, from: 10, to: 20 }),
  ).rejects.toMatchObject({ code: 'relay-refused' });
});

test('a blob longer than announced is refused, a missing one is gone', async () => {
  server.answers = [serveBlob(randomBytes(2000))];
  await expect(connection.downloadBlob({ blobId, secret, bytes: 1000 })).rejects.toMatchObject({
    code: 'relay-refused',
  });
  server.answers = [json(404, { error: { code: 'not-found' } })];
  expect(await connection.downloadBlob({ blobId, secret, bytes: 1000 })).toEqual({
    outcome: 'gone',
  });
});

test('a download on which nothing moves is given up and begun anew', async () => {
  const bytes = randomBytes(100);
  server.answers = [
    (_seen, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write(bytes.subarray(0, 10));
    },
    serveBlob(bytes),
  ];
  const told: number[] = [];
  const download = connection.downloadBlob({
    blobId,
    secret,
    bytes: 100,
    onProgress: (done) => told.push(done),
  });
  await until(() => told.length === 1, 'the first octets');
  clock.pass(connectionLimits.blobIdleMs);
  const blob = await settled(download);
  expect(blob.outcome === 'blob' && digest(blob.bytes)).toBe(digest(bytes));
});

const digest = (bytes: Uint8Array | undefined) =>
  createHash('sha256')
    .update(bytes ?? new Uint8Array())
    .digest('hex');
