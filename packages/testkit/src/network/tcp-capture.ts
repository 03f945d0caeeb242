// A wire tap: a proxy that passes every byte on and keeps a copy, for the search that proves no
// word went over the line in the open.
import { connect, createServer, type Socket } from 'node:net';
import { SiegelError } from '@siegel/protocol/errors';
import { findCanary } from './canary.ts';
import { listenOnLoopback } from './listen.ts';
import { framesOf } from './websocket-frames.ts';

export type CapturedConnection = {
  /** from whoever connected */
  readonly sent: () => Buffer;
  /** from the server behind */
  readonly received: () => Buffer;
};

export interface TcpCapture {
  /** to be used instead of the address behind */
  readonly url: string;
  readonly connections: readonly CapturedConnection[];
  bytes(): number;
  /** Looks at the raw bytes and at unmasked WebSocket frames, in every form a text could have. */
  contains(canary: string): boolean;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Beyond this a test captures more than it can mean to. */
const bytesMax = 512 * 1024 * 1024;

type Recording = { readonly chunks: Buffer[] };

function streamsOf(connection: CapturedConnection): Buffer[] {
  return [connection.sent(), connection.received()].flatMap((stream) => {
    const frames = framesOf(stream);
    // A message may come in several frames: they are searched joined.
    const joined = Buffer.concat(frames.map(({ payload }) => payload));
    return frames.length === 0 ? [stream] : [stream, joined];
  });
}

export async function tcpCapture(behind: string): Promise<TcpCapture> {
  const target = new URL(behind);
  if (target.protocol !== 'http:') {
    throw new SiegelError('configuration-invalid', 'Only a plain http address can be tapped.');
  }
  const connections: CapturedConnection[] = [];
  const sockets = new Set<Socket>();
  let bytes = 0;

  const pass = (from: Socket, to: Socket, recording: Recording) => {
    sockets.add(from);
    from.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > bytesMax) from.destroy();
      recording.chunks.push(Buffer.from(chunk));
      if (!to.write(chunk)) from.pause();
    });
    to.on('drain', () => from.resume());
    from.on('end', () => to.end());
    from.on('error', () => to.destroy());
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  };

  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({
      host: target.hostname,
      port: Number(target.port || 80),
      allowHalfOpen: true,
    });
    const sent: Recording = { chunks: [] };
    const received: Recording = { chunks: [] };
    connections.push({
      sent: () => Buffer.concat(sent.chunks),
      received: () => Buffer.concat(received.chunks),
    });
    pass(near, far, sent);
    pass(far, near, received);
  });
  const { url, close } = await listenOnLoopback(server);
  return {
    url,
    connections,
    bytes: () => bytes,
    contains: (canary) =>
      connections.flatMap(streamsOf).some((stream) => findCanary(stream, canary) !== undefined),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await close();
    },
  };
}
