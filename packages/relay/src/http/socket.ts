// The WebSocket edge: who may upgrade, how many per address, keep-alive, frame size. What the frames mean is the mailbox's
// affair, which sees a `RelaySocket` only.

import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { limits } from '@siegel/protocol/limits';
import { socketPath, socketProtocol } from '@siegel/protocol/relay';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Events } from '../events.ts';
import type { Metrics } from '../metrics.ts';
import { addressKey, limitFor, type RateLimiter } from '../rate-limits.ts';
import type { RelaySocket } from './relay-socket.ts';

export type SocketPorts = {
  readonly server: Server;
  readonly acceptSocket: (socket: RelaySocket) => void;
  readonly isWebOrigin: (origin: string) => boolean;
  readonly isStopping: () => boolean;
  readonly addressOf: (request: IncomingMessage) => string;
  readonly rateLimiter: RateLimiter;
  readonly socketsPerAddress: number;
  readonly events: Events;
  readonly metrics: Metrics;
};

const keepAliveSeconds = 30;
const closeCodes = { unsupportedData: 1003 } as const;

/** Resolves `close` when every socket is gone. */
export function hostSockets(ports: SocketPorts): { close: () => Promise<void> } {
  const perAddress = new Map<string, number>();
  const alive = new WeakSet<WebSocket>();
  const host = new WebSocketServer({
    noServer: true,
    clientTracking: true,
    maxPayload: limits.socketFrameBytesMax,
    perMessageDeflate: false,
    handleProtocols: () => socketProtocol,
  });

  function upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    stream.on('error', ports.events.socketFailed);
    const address = ports.addressOf(request);
    const refusal = refuse(ports, request, perAddress.get(addressKey(address)) ?? 0);
    if (refusal !== undefined) {
      stream.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    host.handleUpgrade(request, stream, head, (socket) => {
      alive.add(socket);
      countAddress(perAddress, addressKey(address), socket);
      ports.metrics.sockets.inc();
      socket.once('close', () => ports.metrics.sockets.dec());
      ports.acceptSocket(asRelaySocket(socket, address, ports.events));
    });
  }

  ports.server.on('upgrade', upgrade);
  const timer = setInterval(() => pingAll(host, alive), keepAliveSeconds * 1000);
  timer.unref();
  return {
    close: async () => {
      clearInterval(timer);
      for (const socket of host.clients) socket.close(1001, 'shutting-down');
      await Promise.race([allGone(host), pause(1000)]);
      for (const socket of host.clients) socket.terminate();
      await allGone(host);
      host.close();
    },
  };
}

/** The status line of a refusal, or undefined. */
function refuse(ports: SocketPorts, request: IncomingMessage, open: number): string | undefined {
  if (ports.isStopping()) return '503 Service Unavailable';
  if (request.url !== socketPath) return '404 Not Found';
  const { origin, host } = request.headers;
  const isOwn = origin !== undefined && host !== undefined && origin.split('//')[1] === host;
  if (origin !== undefined && !isOwn && !ports.isWebOrigin(origin)) return '403 Forbidden';
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',');
  if (!offered.some((one) => one.trim() === socketProtocol)) return '400 Bad Request';
  if (open >= ports.socketsPerAddress) return '429 Too Many Requests';
  const key = `openSocket/${addressKey(ports.addressOf(request))}`;
  const { taken } = ports.rateLimiter.take(key, limitFor('openSocket', 'address'));
  return taken ? undefined : '429 Too Many Requests';
}

function countAddress(perAddress: Map<string, number>, key: string, socket: WebSocket): void {
  perAddress.set(key, (perAddress.get(key) ?? 0) + 1);
  socket.once('close', () => {
    const left = (perAddress.get(key) ?? 1) - 1;
    if (left > 0) perAddress.set(key, left);
    else perAddress.delete(key);
  });
}

function asRelaySocket(socket: WebSocket, address: string, events: Events): RelaySocket {
  // A frame that is too large or no UTF-8: `ws` closes with 1009 or 1007 itself.
  socket.on('error', events.socketFailed);
  return {
    address,
    bufferedAmount: () => socket.bufferedAmount,
    send: (text) => {
      if (socket.readyState === socket.OPEN) socket.send(text, ignore);
    },
    close: (code, reason) => socket.close(code, reason),
    onMessage: (listener) => {
      socket.on('message', (data: Buffer, isBinary: boolean) => {
        if (isBinary) socket.close(closeCodes.unsupportedData, 'text only');
        else listener(data.toString('utf8'));
      });
    },
    onClose: (listener) => {
      socket.once('close', listener);
    },
  };
}

/** The close event follows every failed send; nothing more is to be done here. */
const ignore = () => {};

/** A socket that did not answer since the last round is dead. */
function pingAll(host: WebSocketServer, alive: WeakSet<WebSocket>): void {
  for (const socket of host.clients) {
    if (!alive.delete(socket)) {
      socket.terminate();
      continue;
    }
    socket.once('pong', () => alive.add(socket));
    socket.ping();
  }
}

const pause = (milliseconds: number) =>
  new Promise<void>((resolve) => {
    setTimeout(resolve, milliseconds).unref();
  });

async function allGone(host: WebSocketServer): Promise<void> {
  await Promise.all(
    [...host.clients].map(
      (socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())),
    ),
  );
}
