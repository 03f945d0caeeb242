// A tiny relay of the tests: real HTTP and real sockets, answering whatever the test tells it to, faults included.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { socketProtocol } from '@siegel/protocol/relay';
import { type WebSocket, WebSocketServer } from 'ws';

export type Seen = {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
};
export type Answer = (seen: Seen, response: ServerResponse, request: IncomingMessage) => void;

export type ContractServer = {
  readonly url: string;
  readonly seen: Seen[];
  readonly sockets: WebSocket[];
  /** Answers in order; the last one stays. */
  answers: Answer[];
  onSocket: (socket: WebSocket) => void;
  /** As a power cut does it: every connection is gone, nobody listens any more. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  close(): Promise<void>;
};

export const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Answer =>
  (_seen, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };

export async function startContractServer(): Promise<ContractServer> {
  const open = new Set<Socket>();
  const seen: Seen[] = [];
  const sockets: WebSocket[] = [];
  let port = 0;
  const http = createServer((request, response) => {
    void (async () => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const record: Seen = {
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(parts),
      };
      seen.push(record);
      const answer = server.answers.length > 1 ? server.answers.shift() : server.answers[0];
      (answer ?? json(404, { error: { code: 'not-found' } }))(record, response, request);
    })().catch(() => response.destroy());
  });
  http.on('connection', (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  const hub = new WebSocketServer({ server: http, handleProtocols: () => socketProtocol });
  hub.on('connection', (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    server.onSocket(socket);
  });
  const listen = () =>
    new Promise<void>((resolve) => {
      http.listen(port, '127.0.0.1', () => {
        port = (http.address() as AddressInfo).port;
        resolve();
      });
    });
  const stop = () =>
    new Promise<void>((resolve) => {
      http.close(() => resolve());
      for (const socket of open) socket.destroy();
    });
  const server: ContractServer = {
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    seen,
    sockets,
    answers: [],
    onSocket: () => undefined,
    kill: stop,
    restart: listen,
    async close() {
      hub.close();
      await stop();
    },
  };
  await listen();
  return server;
}
