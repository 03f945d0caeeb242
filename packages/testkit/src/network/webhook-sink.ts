// A firm's webhook endpoint for tests: a real HTTP server that does the handshake, checks every
// signature and keeps the bytes as they came.
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { signatureIsRight } from '@siegel/bot';
import { SiegelError } from '@siegel/protocol/errors';
import { listenOnLoopback } from './listen.ts';

export type RecordedWebhook = {
  readonly at: number;
  readonly headers: IncomingHttpHeaders;
  /** exactly what was signed */
  readonly bytes: Buffer;
  readonly signed: boolean;
  /** undefined when it is not JSON */
  readonly body: unknown;
};

export interface WebhookSink {
  readonly url: string;
  readonly verifyToken: string;
  /** newest last; at most `recordsMax` */
  readonly received: readonly RecordedWebhook[];
  /** What the next requests are answered with, one each; 200 afterwards. `hang` never answers. */
  answerNext(...answers: readonly (number | 'hang' | 'reset')[]): void;
  /**
   * Resolves with the first record that fits, also one that came before; rejects after the time.
   */
  waitFor(
    fits: (record: RecordedWebhook) => boolean,
    options?: { readonly timeoutMs?: number },
  ): Promise<RecordedWebhook>;
  [Symbol.asyncDispose](): Promise<void>;
}

export type WebhookSinkOptions = {
  readonly appSecret: string;
  readonly verifyToken: string;
  readonly now: () => number;
};

const bodyBytesMax = 4 * 1024 * 1024;
const recordsMax = 100_000;
const waitMsDefault = 10_000;

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw new SiegelError('request-too-large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

function challengeOf(url: URL, verifyToken: string): string | undefined {
  const right =
    url.searchParams.get('hub.mode') === 'subscribe' &&
    url.searchParams.get('hub.verify_token') === verifyToken;
  return right ? (url.searchParams.get('hub.challenge') ?? undefined) : undefined;
}

type Waiter = {
  readonly fits: (record: RecordedWebhook) => boolean;
  readonly resolve: (record: RecordedWebhook) => void;
};

function createRecords() {
  const received: RecordedWebhook[] = [];
  const waiters = new Set<Waiter>();
  return {
    received,
    add(record: RecordedWebhook) {
      received.push(record);
      if (received.length > recordsMax) received.shift();
      for (const waiter of waiters) if (waiter.fits(record)) waiter.resolve(record);
    },
    waitFor: (
      fits: (record: RecordedWebhook) => boolean,
      options: { readonly timeoutMs?: number } = {},
    ) => {
      const timeoutMs = options.timeoutMs ?? waitMsDefault;
      return new Promise<RecordedWebhook>((resolve, reject) => {
        const found = received.find(fits);
        if (found !== undefined) {
          resolve(found);
          return;
        }
        const give = () => {
          waiters.delete(waiter);
          reject(new SiegelError('internal', `No such webhook within ${timeoutMs} ms.`));
        };
        const timer = setTimeout(give, timeoutMs);
        const waiter: Waiter = {
          fits,
          resolve(record) {
            clearTimeout(timer);
            waiters.delete(waiter);
            resolve(record);
          },
        };
        waiters.add(waiter);
      });
    },
  };
}

export async function webhookSink(options: WebhookSinkOptions): Promise<WebhookSink> {
  const answers: (number | 'hang' | 'reset')[] = [];
  const { received, add, waitFor } = createRecords();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://sink');
    if (request.method === 'GET') {
      const challenge = challengeOf(url, options.verifyToken);
      response.writeHead(challenge === undefined ? 403 : 200, { 'content-type': 'text/plain' });
      response.end(challenge ?? 'forbidden');
      return;
    }
    bodyOf(request).then(
      (bytes) => {
        const header = request.headers['x-hub-signature-256'];
        const given = typeof header === 'string' ? header : undefined;
        const signed = signatureIsRight(bytes, given, options.appSecret);
        add({ at: options.now(), headers: request.headers, bytes, signed, body: parsed(bytes) });
        const answer = answers.shift() ?? 200;
        if (answer === 'reset') response.destroy();
        else if (answer !== 'hang') response.writeHead(answer).end();
      },
      () => response.destroy(),
    );
  });
  const { url, close } = await listenOnLoopback(server);
  return {
    url: `${url}/webhook`,
    verifyToken: options.verifyToken,
    received,
    answerNext: (...next) => {
      answers.push(...next);
    },
    waitFor,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await close();
    },
  };
}
