// The only way out for addresses that others wrote: webhooks and media links. A name is resolved once, every address it has
// is checked, and the connection goes to the checked one, so that a second answer of the name server changes nothing.

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { Agent, buildConnector, type Dispatcher, request } from 'undici';
import type { AddressRules } from './address-rules.ts';

export type Resolve = (hostname: string) => Promise<readonly string[]>;

export type OutgoingFailure =
  | 'url-refused'
  | 'address-refused'
  | 'redirect-refused'
  | 'unresolved'
  | 'timed-out'
  | 'too-large'
  | 'unreachable';

export type OutgoingAnswer =
  | {
      readonly outcome: 'answer';
      readonly status: number;
      readonly contentType: string | undefined;
      readonly body: Uint8Array;
    }
  | { readonly outcome: 'failed'; readonly reason: OutgoingFailure };

export type OutgoingRequest = {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** the whole exchange, redirects included */
  readonly timeoutMs: number;
  readonly answerBytesMax: number;
  /** what a longer answer means: a failure (the default), or only its beginning is read */
  readonly beyond?: 'fail' | 'cut';
  /** redirects on the same host only; 0 refuses all */
  readonly redirectsMax: number;
};

export interface OutgoingRequests extends AsyncDisposable {
  send(request: OutgoingRequest): Promise<OutgoingAnswer>;
  close(): Promise<void>;
}

class Refused extends Error {
  readonly reason: OutgoingFailure;
  constructor(reason: OutgoingFailure) {
    super(reason);
    this.reason = reason;
  }
}

const resolveByDns: Resolve = async (hostname) =>
  (await lookup(hostname, { all: true, verbatim: true })).map(({ address }) => address);

const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, '');

async function checkedAddress(
  rules: AddressRules,
  resolve: Resolve,
  target: { hostname: string; protocol: string },
): Promise<string> {
  const hostname = bare(target.hostname);
  let addresses: readonly string[];
  try {
    addresses = isIP(hostname) === 0 ? await resolve(hostname) : [hostname];
  } catch {
    throw new Refused('unresolved');
  }
  const [first] = addresses;
  if (first === undefined) throw new Refused('unresolved');
  // One private address among several is how rebinding begins: all must be allowed.
  if (!addresses.every((address) => rules.allows(address))) throw new Refused('address-refused');
  if (target.protocol !== 'https:' && !addresses.every((address) => rules.lists(address))) {
    throw new Refused('url-refused');
  }
  return first;
}

function guardedAgent(rules: AddressRules, resolve: Resolve): Agent {
  const connect = buildConnector({ timeout: 10_000 });
  return new Agent({
    connections: 16,
    pipelining: 1,
    keepAliveTimeout: 10_000,
    connect: (options, callback) => {
      checkedAddress(rules, resolve, options).then(
        (address) =>
          connect(
            {
              ...options,
              hostname: address,
              servername: options.servername ?? bare(options.hostname),
            },
            callback,
          ),
        (error: unknown) => callback(error as Error, null),
      );
    },
  });
}

function reasonOf(error: unknown): OutgoingFailure {
  if (error instanceof Refused) return error.reason;
  const { name, code, cause } = error as { name?: string; code?: string; cause?: unknown };
  if (cause instanceof Refused) return cause.reason;
  const slow =
    /^(TimeoutError|AbortError)$/.test(name ?? '') || /_TIMEOUT$|ETIMEDOUT/.test(code ?? '');
  return slow ? 'timed-out' : 'unreachable';
}

async function read(
  body: Dispatcher.ResponseData['body'],
  { answerBytesMax, beyond }: OutgoingRequest,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body as AsyncIterable<Uint8Array>) {
    bytes += part.length;
    // Leaving the loop destroys the stream, and with it the connection.
    if (bytes > answerBytesMax) {
      if (beyond === 'cut') break;
      throw new Refused('too-large');
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Only http and https, no credentials in the URL: they would be sent to whoever wrote the link. */
function checkedUrl(text: string, base?: URL): URL {
  let url: URL;
  try {
    url = new URL(text, base);
  } catch {
    throw new Refused('url-refused');
  }
  if (!/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw new Refused('url-refused');
  }
  if (base !== undefined && (url.host !== base.host || url.protocol !== base.protocol)) {
    throw new Refused('redirect-refused');
  }
  return url;
}

const redirects = new Set([301, 302, 303, 307, 308]);

async function exchange(agent: Agent, what: OutgoingRequest): Promise<OutgoingAnswer> {
  const signal = AbortSignal.timeout(what.timeoutMs);
  let url = checkedUrl(what.url);
  for (let followed = 0; ; followed += 1) {
    const answer = await request(url, {
      method: what.method,
      dispatcher: agent,
      signal,
      headersTimeout: what.timeoutMs,
      bodyTimeout: what.timeoutMs,
      ...(what.headers === undefined ? {} : { headers: { ...what.headers } }),
      ...(what.body === undefined ? {} : { body: what.body }),
    });
    if (!redirects.has(answer.statusCode)) {
      const type = answer.headers['content-type'];
      return {
        outcome: 'answer',
        status: answer.statusCode,
        contentType: Array.isArray(type) ? type[0] : type,
        body: await read(answer.body, what),
      };
    }
    await answer.body.dump({ limit: 16_384 });
    const { location } = answer.headers;
    if (followed >= what.redirectsMax || typeof location !== 'string') {
      throw new Refused('redirect-refused');
    }
    url = checkedUrl(location, url);
  }
}

export function createOutgoingRequests(options: {
  rules: AddressRules;
  /** the name service; tests hand in one that changes its answers */
  resolve?: Resolve;
}): OutgoingRequests {
  const agent = guardedAgent(options.rules, options.resolve ?? resolveByDns);
  const close = () => agent.destroy();
  return {
    async send(what) {
      try {
        return await exchange(agent, what);
      } catch (error) {
        return { outcome: 'failed', reason: reasonOf(error) };
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
