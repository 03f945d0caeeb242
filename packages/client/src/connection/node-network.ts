// The network of Node: its own fetch, sockets of `ws`, uploads as a stream so that progress can be told.

import { WebSocket } from 'ws';
import type { Network } from '../relay-connection.ts';
import type { PutBytes } from './blobs.ts';
import { connectionLimits } from './connection-limits.ts';
import type { OpenWebSocket } from './mailbox-socket.ts';

const uploadChunkBytes = 64 * 1024;

const webSocket: OpenWebSocket = (url, protocol, handlers) => {
  const socket = new WebSocket(url, protocol, {
    maxPayload: connectionLimits.socketFrameCharsMax,
    handshakeTimeout: connectionLimits.socketOpenMs,
    perMessageDeflate: false,
    followRedirects: false,
  });
  socket.on('open', () => handlers.opened());
  socket.on('message', (data, isBinary) => {
    handlers.frame(isBinary || !Buffer.isBuffer(data) ? undefined : data.toString('utf8'));
  });
  // `close` follows every error and tells all there is to know.
  socket.on('error', () => undefined);
  socket.on('close', () => handlers.closed());
  return {
    send(text) {
      if (socket.readyState === WebSocket.OPEN) socket.send(text, () => undefined);
    },
    close() {
      // A peer that no longer answers would hold a polite close for half a minute.
      if (socket.readyState === WebSocket.OPEN) socket.close(1000);
      else socket.terminate();
    },
  };
};

const putBytes: PutBytes = async ({ url, headers, bytes, signal, onSent }) => {
  const body = new ReadableStream<Uint8Array>(chunkSource(bytes, onSent));
  // `duplex` is required for a stream (Fetch standard §5.4) and unknown to the type.
  const init = { method: 'PUT', body, duplex: 'half', signal, redirect: 'error' } as RequestInit;
  const response = await fetch(url, {
    ...init,
    headers: { ...headers, 'content-length': String(bytes.length) },
  });
  await response.body?.cancel();
  return response.status;
};

function chunkSource(bytes: Uint8Array, onSent: (octets: number) => void) {
  let at = 0;
  return {
    pull(controller: ReadableStreamDefaultController<Uint8Array>) {
      onSent(at);
      if (at >= bytes.length) {
        controller.close();
        return;
      }
      controller.enqueue(bytes.subarray(at, at + uploadChunkBytes));
      at += uploadChunkBytes;
    },
  };
}

export const nodeNetwork: Network = { fetch: (url, init) => fetch(url, init), webSocket, putBytes };
