// A bad line between a device and the relay: drops, delays, doubles and reorders socket frames,
// loses requests or their answers, cuts connections.
// Which frame suffers is decided by a seed, so that a failing run can be run again.

import type { ServerResponse } from 'node:http';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { listenOnLoopback } from './listen.ts';
import { seededRandom } from './seeded-random.ts';

/** Each a chance from 0 to 1. */
export type Faults = {
  /** a socket frame is lost; what TCP never does, but a dying connection does to its last ones */
  readonly drop: number;
  readonly duplicate: number;
  /** a frame is held back until the next one has passed, or a moment when none comes */
  readonly reorder: number;
  readonly delay: number;
  readonly delayMsMax: number;
  /** a request is lost before it reaches the relay */
  readonly loseRequest: number;
  /** a request is carried out but its answer is lost */
  readonly loseAnswer: number;
  /** a request reaches the relay twice */
  readonly repeatRequest: number;
};

export const noFaults: Faults = {
  drop: 0,
  duplicate: 0,
  reorder: 0,
  delay: 0,
  delayMsMax: 0,
  loseRequest: 0,
  loseAnswer: 0,
  repeatRequest: 0,
};

export type FaultCounts = { readonly [Name in Exclude<keyof Faults, 'delayMsMax'>]: number };

export interface FaultProxy {
  readonly url: string;
  readonly seed: number;
  /** From now on. */
  set(faults: Partial<Faults>): void;
  /** Cuts every open connection once. */
  cut(): void;
  /** While it is down, nobody gets through. */
  down(isDown: boolean): void;
  /** how often each fault happened */
  counts(): FaultCounts;
  [Symbol.asyncDispose](): Promise<void>;
}

const bodyBytesMax = 128 * 1024 * 1024;
const queuedFramesMax = 10_000;
const heldMsMax = 250;

type Chance = keyof FaultCounts;
type Dice = { readonly hits: (fault: Chance) => boolean; readonly delayMs: () => number };

type Line = {
  /** for requests */
  readonly dice: Dice;
  /** for one direction of one socket, so that its frames suffer the same whatever others do */
  readonly freshDice: () => Dice;
  readonly target: URL;
  readonly sockets: Set<Duplex>;
};

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw new Error('too large for the proxy');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

type Answer = { readonly response: IncomingMessage; readonly body: Buffer };

function carry({ target }: Line, request: IncomingMessage, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', url = '/', headers } = request;
    const options = { host: target.hostname, port: target.port, method, path: url, headers };
    const onward = httpRequest({ ...options, agent: false }, (response) => {
      readAll(response).then((answer) => resolve({ response, body: answer }), reject);
    });
    onward.once('error', reject);
    onward.end(body);
  });
}

async function proxyRequest(
  line: Line,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { dice } = line;
  const body = await readAll(request);
  if (dice.hits('loseRequest')) {
    response.destroy();
    return;
  }
  if (dice.hits('repeatRequest')) await carry(line, request, body);
  const answer = await carry(line, request, body);
  if (dice.hits('loseAnswer')) {
    response.destroy();
    return;
  }
  const { 'transfer-encoding': _, ...headers } = answer.response.headers;
  const length = answer.response.statusCode === 204 ? {} : { 'content-length': answer.body.length };
  response.writeHead(answer.response.statusCode ?? 502, { ...headers, ...length });
  response.end(answer.body);
}

type Frame = { readonly data: RawData; readonly isBinary: boolean };

/** One direction of a socket. Frames leave in order but for those that the dice choose. */
function faultyPipe(to: WebSocket, dice: Dice): (frame: Frame) => void {
  let held: Frame | undefined;
  let timer: NodeJS.Timeout | undefined;
  let leaving: Promise<void> = Promise.resolve();
  let queued = 0;
  const send = ({ data, isBinary }: Frame) => {
    if (to.readyState === WebSocket.OPEN) to.send(data, { binary: isBinary });
  };
  const leave = (frame: Frame, afterMs: number) => {
    queued += 1;
    const earlier = leaving;
    leaving = (async () => {
      await earlier;
      if (afterMs > 0) await new Promise((resolve) => setTimeout(resolve, afterMs));
      queued -= 1;
      send(frame);
    })();
  };
  const release = () => {
    clearTimeout(timer);
    if (held !== undefined) leave(held, 0);
    held = undefined;
  };
  return (frame) => {
    if (queued >= queuedFramesMax) {
      to.terminate();
      return;
    }
    if (dice.hits('drop')) return;
    if (held === undefined && dice.hits('reorder')) {
      held = frame;
      timer = setTimeout(release, heldMsMax);
      return;
    }
    leave(frame, dice.hits('delay') ? dice.delayMs() : 0);
    if (dice.hits('duplicate')) leave(frame, 0);
    release();
  };
}

function proxySocket(line: Line, near: WebSocket, request: IncomingMessage): void {
  const { target, freshDice } = line;
  const { authorization, origin } = request.headers;
  const far = new WebSocket(`ws://${target.host}${request.url ?? '/'}`, {
    headers: { ...(authorization ? { authorization } : {}), ...(origin ? { origin } : {}) },
    perMessageDeflate: false,
  });
  const early: Frame[] = [];
  const toFar = faultyPipe(far, freshDice());
  const toNear = faultyPipe(near, freshDice());
  near.on('message', (data, isBinary) => {
    if (far.readyState === WebSocket.OPEN) toFar({ data, isBinary });
    else if (early.length < queuedFramesMax) early.push({ data, isBinary });
  });
  far.on('open', () => {
    for (const frame of early.splice(0)) toFar(frame);
  });
  far.on('message', (data, isBinary) => toNear({ data, isBinary }));
  const closing = (other: WebSocket) => (code: number, reason: Buffer) => {
    // 1005 and 1006 are never sent, they only say that nothing was (RFC 6455 §7.4.1).
    if (code === 1005 || code === 1006) other.terminate();
    else other.close(code, reason);
  };
  near.on('close', closing(far));
  far.on('close', closing(near));
  near.on('error', () => far.terminate());
  far.on('error', () => near.terminate());
}

function createDice(seed: number) {
  let faults = noFaults;
  let made = 0;
  const counts = new Map<Chance, number>();
  const freshDice = (): Dice => {
    const random = seededRandom(seed + made);
    made += 1;
    return {
      hits(fault) {
        const hit = faults[fault] > 0 && random() < faults[fault];
        if (hit) counts.set(fault, (counts.get(fault) ?? 0) + 1);
        return hit;
      },
      delayMs: () => random() * faults.delayMsMax,
    };
  };
  const count = (fault: Chance) => counts.get(fault) ?? 0;
  return {
    freshDice,
    set(change: Partial<Faults>) {
      faults = { ...faults, ...change };
    },
    counts: (): FaultCounts => ({
      drop: count('drop'),
      duplicate: count('duplicate'),
      reorder: count('reorder'),
      delay: count('delay'),
      loseRequest: count('loseRequest'),
      loseAnswer: count('loseAnswer'),
      repeatRequest: count('repeatRequest'),
    }),
  };
}

export async function faultProxy(
  behind: string,
  options: { readonly seed: number; readonly faults?: Partial<Faults> },
): Promise<FaultProxy> {
  const { freshDice, set, counts } = createDice(options.seed);
  set(options.faults ?? {});
  const target = new URL(behind);
  const line: Line = { dice: freshDice(), freshDice, target, sockets: new Set() };
  let isDown = false;
  const server = createServer((request, response) => {
    proxyRequest(line, request, response).catch(() => response.destroy());
  });
  const webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  server.on('connection', (socket) => {
    if (isDown) {
      socket.destroy();
      return;
    }
    line.sockets.add(socket);
    socket.once('close', () => line.sockets.delete(socket));
  });
  server.on('upgrade', (request, socket, head) => {
    webSockets.handleUpgrade(request, socket, head, (near) => proxySocket(line, near, request));
  });
  const { url, close } = await listenOnLoopback(server);
  const cut = () => {
    for (const socket of line.sockets) socket.destroy();
  };
  return {
    url,
    seed: options.seed,
    set,
    cut,
    down(next) {
      isDown = next;
      if (next) cut();
    },
    counts,
    async [Symbol.asyncDispose]() {
      cut();
      webSockets.close();
      await close();
    },
  };
}
