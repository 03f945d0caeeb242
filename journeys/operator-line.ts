// The operator's power over the wire: a line between a device and the relay that looks at, changes, keeps, adds and holds back
// whatever passes, as it is told.
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { DeliveredItem, RelayFrame } from '@siegel/protocol/relay';
import { WebSocket, WebSocketServer } from 'ws';

export type Asked = { readonly method: string; readonly path: string; readonly body: unknown };

/** What is done from now on; left out, everything passes as it is. */
export type LineRules = {
  /** the items of one frame for the device; an empty answer sends no frame */
  readonly deliver?: (items: readonly DeliveredItem[]) => readonly DeliveredItem[];
  /** waited for before the request goes on to the relay */
  readonly before?: (asked: Asked) => Promise<void>;
  /** the answer the device gets instead */
  readonly answer?: (asked: Asked, body: unknown) => unknown;
};

export interface OperatorLine {
  readonly url: string;
  /** every item the relay delivered over this line, as the relay wrote it */
  readonly seen: readonly DeliveredItem[];
  /** every request and what the relay answered */
  readonly calls: readonly (Asked & { readonly answer: unknown })[];
  rule(rules: LineRules): void;
  /** Cuts every socket, so that the device connects anew. */
  cut(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

const bytesMax = 32 * 1024 * 1024;
const keptMax = 20_000;

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Error('too large for the line');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

type Carried = { readonly response: IncomingMessage; readonly body: Buffer };

function carry(target: URL, request: IncomingMessage, body: Buffer): Promise<Carried> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', url = '/', headers } = request;
    const place = { host: target.hostname, port: target.port, method, path: url, headers };
    const onward = httpRequest({ ...place, agent: false }, (response) => {
      readAll(response).then((answer) => resolve({ response, body: answer }), reject);
    });
    onward.once('error', reject);
    onward.end(body);
  });
}

type Line = {
  readonly target: URL;
  rules: LineRules;
  readonly seen: DeliveredItem[];
  readonly calls: (Asked & { readonly answer: unknown })[];
};

function createLineServer(line: Line) {
  return createServer((request, response) => {
    const pass = async () => {
      const given = await readAll(request);
      const { method = 'GET', url: path = '/' } = request;
      const asked: Asked = { method, path, body: parse(given) };
      await line.rules.before?.(asked);
      const carried = await carry(line.target, request, given);
      const answer = parse(carried.body);
      if (line.calls.length < keptMax) line.calls.push({ ...asked, answer });
      const changed = line.rules.answer?.(asked, answer) ?? answer;
      const body = changed === answer ? carried.body : Buffer.from(JSON.stringify(changed));
      const { 'transfer-encoding': _, ...headers } = carried.response.headers;
      const status = carried.response.statusCode ?? 502;
      const length = status === 204 ? {} : { 'content-length': body.length };
      response.writeHead(status, { ...headers, ...length });
      response.end(body);
    };
    pass().catch(() => response.destroy());
  });
}

function deliver(line: Line, data: Buffer): Buffer | undefined {
  const frame = JSON.parse(data.toString('utf8')) as RelayFrame;
  if (frame.type !== 'items') return data;
  if (line.seen.length < keptMax) line.seen.push(...frame.items);
  if (line.rules.deliver === undefined) return data;
  const items = line.rules.deliver(frame.items);
  return items.length === 0 ? undefined : Buffer.from(JSON.stringify({ ...frame, items }));
}

function joinSockets(line: Line, near: WebSocket, request: IncomingMessage): void {
  const { origin } = request.headers;
  const far = new WebSocket(`ws://${line.target.host}${request.url ?? '/'}`, near.protocol, {
    headers: origin === undefined ? {} : { origin },
    perMessageDeflate: false,
  });
  const early: Buffer[] = [];
  near.on('message', (data: Buffer) => {
    if (far.readyState === WebSocket.OPEN) far.send(data, { binary: false });
    else if (early.length < keptMax) early.push(data);
  });
  far.on('open', () => {
    for (const data of early.splice(0)) far.send(data, { binary: false });
  });
  far.on('message', (data: Buffer) => {
    const onward = deliver(line, data);
    if (onward !== undefined && near.readyState === WebSocket.OPEN) {
      near.send(onward, { binary: false });
    }
  });
  near.on('close', () => far.terminate());
  far.on('close', () => near.terminate());
  near.on('error', () => far.terminate());
  far.on('error', () => near.terminate());
}

export async function operatorLine(behind: string): Promise<OperatorLine> {
  const line: Line = { target: new URL(behind), rules: {}, seen: [], calls: [] };
  const server = createLineServer(line);
  const webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request, socket, head) => {
    webSockets.handleUpgrade(request, socket, head, (near) => joinSockets(line, near, request));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${port}`,
    seen: line.seen,
    calls: line.calls,
    rule(rules) {
      line.rules = rules;
    },
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      webSockets.close();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
