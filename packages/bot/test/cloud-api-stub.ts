// A tiny Cloud API for the bot's tests: a real HTTP server that keeps what it was sent and answers
// as it is told.
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { type Fields, fieldsOf } from '../src/fields.ts';

export type Sent = {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Fields;
};

export type Stub = {
  readonly url: string;
  readonly sent: Sent[];
  /** statuses for the next requests; 200 afterwards */
  readonly answers: { status: number; code?: number }[];
  /** while set, requests wait for it */
  hold: Promise<void> | undefined;
  /** resolves when so many requests came */
  reached(count: number): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export async function startCloudApiStub(): Promise<Stub> {
  const waiting: { count: number; resolve: () => void }[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = fieldsOf(JSON.parse(Buffer.concat(chunks).toString()));
      stub.sent.push({ path: request.url ?? '', headers: request.headers, body });
      for (const one of waiting) if (stub.sent.length >= one.count) one.resolve();
      await stub.hold;
      const { status, code } = stub.answers.shift() ?? { status: 200 };
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(
        status === 200
          ? JSON.stringify({ messages: [{ id: `wamid.${stub.sent.length}` }] })
          : JSON.stringify({ error: { code, message: 'no' } }),
      );
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const stub: Stub = {
    url: `http://127.0.0.1:${port}`,
    sent: [],
    answers: [],
    hold: undefined,
    reached: (count) =>
      stub.sent.length >= count
        ? Promise.resolve()
        : new Promise((resolve) => waiting.push({ count, resolve })),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return stub;
}
