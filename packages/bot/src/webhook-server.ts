// The bot's door: answers the handshake, takes signed webhooks, says 200 before any work is done,
// and lets nothing else in.
import { createServer, type IncomingMessage as Request, type ServerResponse } from 'node:http';
import { parseJson } from './fields.ts';
import { sameSecret, signatureIsRight } from './signature.ts';

export type WebhookServerOptions = {
  readonly appSecret: string;
  readonly verifyToken: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** `false` when there is no room: the sender is asked to come again. */
  readonly accept: (body: unknown) => boolean;
  readonly refused: (why: 'signature' | 'malformed' | 'too-large' | 'busy') => void;
};

export interface WebhookServer {
  readonly url: string;
  close(): Promise<void>;
}

/** The Cloud API posts at most three megabytes. */
const bodyBytesMax = 3 * 1024 * 1024;
const challengeCharsMax = 512;
/** Requests under way get this long when the bot stops. */
const closeGraceMs = 2_000;

type Answer = { readonly status: number; readonly text: string };

/** Resolves undefined when the body is larger than allowed. */
async function readBody(request: Request): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > bodyBytesMax) return undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function handshake(url: URL, verifyToken: string): Answer {
  const challenge = url.searchParams.get('hub.challenge') ?? '';
  const right =
    url.searchParams.get('hub.mode') === 'subscribe' &&
    sameSecret(url.searchParams.get('hub.verify_token') ?? '', verifyToken) &&
    challenge.length <= challengeCharsMax;
  return right ? { status: 200, text: challenge } : { status: 403, text: 'forbidden' };
}

async function receive(request: Request, options: WebhookServerOptions): Promise<Answer> {
  const body = await readBody(request);
  if (body === undefined) {
    options.refused('too-large');
    return { status: 413, text: 'too large' };
  }
  const header = request.headers['x-hub-signature-256'];
  const given = typeof header === 'string' ? header : undefined;
  if (!signatureIsRight(body, given, options.appSecret)) {
    options.refused('signature');
    return { status: 401, text: 'unauthorized' };
  }
  const parsed = parseJson(body.toString('utf8'));
  if (parsed === undefined) {
    options.refused('malformed');
    return { status: 400, text: 'malformed' };
  }
  if (options.accept(parsed.value)) return { status: 200, text: 'ok' };
  options.refused('busy');
  return { status: 503, text: 'busy' };
}

async function answer(request: Request, options: WebhookServerOptions): Promise<Answer> {
  const url = new URL(request.url ?? '/', 'http://bot');
  if (url.pathname === '/health' && request.method === 'GET') return { status: 200, text: 'ok' };
  if (url.pathname !== options.path) return { status: 404, text: 'not found' };
  if (request.method === 'GET') return handshake(url, options.verifyToken);
  if (request.method === 'POST') return receive(request, options);
  return { status: 405, text: 'method not allowed' };
}

function write(response: ServerResponse, { status, text }: Answer): void {
  response.writeHead(status, {
    // Plain text and nosniff: the challenge is whatever the caller wrote.
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
    ...(status === 413 ? { connection: 'close' } : {}),
  });
  response.end(text);
}

export async function startWebhookServer(options: WebhookServerOptions): Promise<WebhookServer> {
  const server = createServer(
    { headersTimeout: 10_000, requestTimeout: 20_000 },
    (request, response) => {
      answer(request, options).then(
        (one) => write(response, one),
        // The connection broke while its body was read.
        () => response.destroy(),
      );
    },
  );
  server.maxConnections = 256;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return {
    url: `http://${host}:${port}${options.path}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const cut = setTimeout(() => server.closeAllConnections(), closeGraceMs);
      await closed;
      clearTimeout(cut);
    },
  };
}
