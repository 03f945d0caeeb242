// The network of a browser: its own fetch and WebSocket; uploads by XMLHttpRequest where there is one, because fetch tells
// nothing about what was sent.

import type { Network } from '../relay-connection.ts';
import type { PutBytes } from './blobs.ts';
import type { OpenWebSocket } from './mailbox-socket.ts';

const webSocket: OpenWebSocket = (url, protocol, handlers) => {
  const socket = new WebSocket(url, protocol);
  socket.binaryType = 'arraybuffer';
  socket.addEventListener('open', () => handlers.opened());
  socket.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
    handlers.frame(typeof data === 'string' ? data : undefined);
  });
  socket.addEventListener('close', () => handlers.closed());
  return {
    send(text) {
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
    close: () => socket.close(1000),
  };
};

const putByRequest: PutBytes = ({ url, headers, bytes, signal, onSent }) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const fail = () => reject(new TypeError('upload failed'));
    request.open('PUT', url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener('progress', ({ loaded }) => onSent(loaded));
    request.addEventListener('load', () => resolve(request.status));
    request.addEventListener('error', fail);
    request.addEventListener('abort', fail);
    signal.addEventListener('abort', () => request.abort(), { once: true });
    if (signal.aborted) fail();
    else request.send(Uint8Array.from(bytes));
  });

/** A service worker has no XMLHttpRequest: there an upload tells its progress at its ends only. */
export const browserNetwork: Network = {
  fetch: (url, init) => fetch(url, init),
  webSocket,
  ...(typeof XMLHttpRequest === 'undefined' ? {} : { putBytes: putByRequest }),
};
