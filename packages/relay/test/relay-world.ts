// A relay that runs as a town on a database of its own, with a clock the test sets, spoken to over real HTTP and real
// sockets. Every answer is held against the contract.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestDatabase, testDatabase } from '@siegel/database/testing';
import type { AnswerOf, Endpoint, RequestOf } from '@siegel/protocol/relay';
import { socketPath, socketProtocol } from '@siegel/protocol/relay';
import { expect } from 'vitest';
import { WebSocket } from 'ws';
import { type Relay, type RelayOptions, type RelayWorld, startRelay } from '../src/index.ts';
import { migrations } from './hot-path-world.ts';

export type RelayTest = {
  readonly relay: Relay;
  readonly test: TestDatabase;
  readonly clock: { now: number };
  readonly operatorToken: string;
  /** What the relay logged, as text. */
  readonly log: () => string;
  readonly folder: string;
  /** Calls an endpoint and holds the answer against the contract; a refusal that is no outcome fails the test. */
  readonly call: <E extends Endpoint>(
    endpoint: E,
    request: RequestOf<E>,
    token?: string,
  ) => Promise<AnswerOf<E>>;
  readonly send: (path: string, init?: RequestInit) => Promise<Response>;
  /** Another relay process on the same database and keys. */
  readonly another: (options?: Partial<RelayOptions>, world?: RelayWorld) => Promise<Relay>;
  readonly close: () => Promise<void>;
};

/** A fuzzer's object may bring a `toString` of its own. */
const inAddress = (value: unknown): string =>
  typeof value === 'string' ? value : String(JSON.stringify(value));

/** Path parameters filled in, the rest as query or body. */
export function requestFor(
  endpoint: Endpoint,
  request: Readonly<Record<string, unknown>>,
): { path: string; init: RequestInit } {
  const rest = { ...request };
  const path = endpoint.path.replaceAll(/:(\w+)/g, (_, name: string) => {
    const value = rest[name];
    delete rest[name];
    return encodeURIComponent(inAddress(value));
  });
  const { method } = endpoint;
  if (method === 'POST' || method === 'PUT') {
    const headers = { 'content-type': 'application/json' };
    return { path, init: { method, headers, body: JSON.stringify(rest) } };
  }
  const query = new URLSearchParams(
    Object.entries(rest).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, inAddress(value)]],
    ),
  );
  const question = query.size > 0 ? `?${query.toString()}` : '';
  return { path: `${path}${question}`, init: { method } };
}

/** The clock starts at the machine's time: key packages are made against it. */
export async function startTestRelay(
  options: Partial<RelayOptions> = {},
  world: RelayWorld = {},
): Promise<RelayTest> {
  const test = await testDatabase({ migrations });
  const folder = await mkdtemp(join(tmpdir(), 'siegel-relay-'));
  const clock = { now: Date.now() };
  const operatorToken = randomBytes(32).toString('base64url');
  const lines: string[] = [];
  const config: RelayOptions = {
    port: 0,
    town: true,
    operatorToken,
    keysFile: join(folder, 'keys.json'),
    blobFolder: join(folder, 'blobs'),
    issuer: 'relay.test',
    logLevel: 'debug',
    ...options,
  };
  const ports: RelayWorld = {
    database: test.database,
    now: () => clock.now,
    log: { write: (line: string) => void lines.push(line) },
    ...world,
  };
  const relay = await startRelay(config, ports);
  const send = (path: string, init?: RequestInit) => fetch(`${relay.url}${path}`, init);
  return {
    ...{ relay, test, clock, operatorToken, folder, send },
    log: () => lines.join(''),
    call: (endpoint, request, token) => callOver(send, { endpoint, request, token }),
    another: (more = {}, moreWorld = {}) =>
      startRelay({ ...config, ...more }, { ...ports, ...moreWorld }),
    close: async () => {
      await relay.close();
      await test.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

type Calling<E extends Endpoint> = {
  readonly endpoint: E;
  readonly request: RequestOf<E>;
  readonly token: string | undefined;
};

export async function callOver<E extends Endpoint>(
  send: RelayTest['send'],
  { endpoint, request, token }: Calling<E>,
): Promise<AnswerOf<E>> {
  const { path, init } = requestFor(endpoint, request as Record<string, unknown>);
  const headers = new Headers(init.headers);
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
  const response = await send(path, { ...init, headers });
  const body = (await response.json()) as { outcome?: string; error?: { code: string } };
  if (body.outcome === undefined) {
    throw new Error(`${endpoint.name} failed: ${response.status} ${JSON.stringify(body)}`);
  }
  expectContract(endpoint, response.status, body as { outcome: string });
  return body as AnswerOf<E>;
}

export function expectContract(
  endpoint: Endpoint,
  status: number,
  { outcome, ...rest }: { outcome: string },
): void {
  const named = endpoint.outcomes[outcome];
  expect(named, `${endpoint.name} answers ${outcome}`).toBeDefined();
  expect(status).toBe(named?.status);
  const parsed = named?.body.safeParse(rest);
  expect(parsed?.success, `${endpoint.name}: ${JSON.stringify(parsed?.error)}`).toBe(true);
  // Nothing beyond the contract leaves the relay.
  expect(rest).toEqual(parsed?.data);
}

/** The code and message of a refusal that is no outcome. */
export async function failureOf(response: Response): Promise<{ status: number; code: string }> {
  const body = (await response.json()) as { error: { code: string } };
  return { status: response.status, code: body.error.code };
}

export type TestSocket = {
  readonly send: (frame: unknown) => void;
  readonly frames: unknown[];
  readonly next: (type: string) => Promise<Record<string, unknown>>;
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly close: () => void;
};

/** Rejects when the upgrade is refused. */
export function openSocket(
  url: string,
  options: { origin?: string; protocol?: string } = {},
): Promise<TestSocket> {
  const address = `${url.replace(/^http/, 'ws')}${socketPath}`;
  const socket = new WebSocket(address, options.protocol ?? socketProtocol, {
    ...(options.origin === undefined ? {} : { origin: options.origin }),
  });
  const frames: Record<string, unknown>[] = [];
  const waiting: (() => void)[] = [];
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  socket.on('message', (data: Buffer) => {
    frames.push(JSON.parse(data.toString()) as Record<string, unknown>);
    for (const wake of waiting.splice(0)) wake();
  });
  const next = async (type: string): Promise<Record<string, unknown>> => {
    for (;;) {
      const index = frames.findIndex((frame) => frame['type'] === type);
      if (index >= 0) return frames.splice(index, 1)[0]!;
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  };
  const opened: TestSocket = {
    send: (frame) => socket.send(JSON.stringify(frame)),
    close: () => socket.close(),
    ...{ frames, next, closed },
  };
  return new Promise((resolve, reject) => {
    socket.on('open', () => resolve(opened));
    socket.on('error', reject);
    socket.on('unexpected-response', (_request, response) =>
      reject(new Error(`refused with ${response.statusCode}`)),
    );
  });
}
