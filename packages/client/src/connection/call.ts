// One call of the relay contract over HTTP: request to path, query and body; answer to its named outcome.
// Retry and back-off of calls live here only. An outcome is never retried: it is an answer.

import { type ErrorCode, errorCodes, SiegelError } from '@siegel/protocol/errors';
import type { AnswerOf, Endpoint, RequestOf } from '@siegel/protocol/relay';
import { type Environment, wait } from '../environment.ts';
import { backOffMs } from './back-off.ts';
import { connectionLimits } from './connection-limits.ts';
import { readBounded } from './read-bounded.ts';

export type FetchLike = (url: string, init: RequestInit) => Promise<Response>;

export type CallOptions = {
  readonly signal?: AbortSignal;
  /** For a caller that has a queue of its own and waits there instead. */
  readonly attemptsMax?: number;
};

export type CallContext = Environment & {
  readonly url: string;
  readonly fetch: FetchLike;
  readonly token: string | undefined;
};

/** Posts that may be sent twice: by client id, by content, or because they only read. Claims of key packages never are. */
const repeatablePosts = new Set([
  'submitMessage',
  'submitCommit',
  'uploadKeyPackages',
  'lookUpNumber',
  'openEnrolment',
  'completeLink',
  'finishLink',
]);

/** The relay said these before it did anything, so even a claim may be tried again. */
const refusedUntouched = new Set<ErrorCode>(['too-many-requests', 'overloaded', 'shutting-down']);

const isRepeatable = (endpoint: Endpoint): boolean =>
  endpoint.method !== 'POST' || repeatablePosts.has(endpoint.name);

/** What one attempt came to, when it was no answer. */
class AttemptFailed extends Error {
  readonly failure: SiegelError;
  readonly mayRepeat: boolean;
  readonly afterMs: number | undefined;

  constructor(failure: SiegelError, mayRepeat: boolean, afterMs?: number) {
    super(failure.message, { cause: failure });
    this.failure = failure;
    this.mayRepeat = mayRepeat;
    this.afterMs = afterMs;
  }
}

/**
 * @throws SiegelError `relay-unreachable` (try later), `relay-refused` (the relay answered with an error or with nonsense),
 * `unauthenticated` (the token is not, or no longer, good), `request-invalid` (the request breaks the contract; nothing was sent)
 */
export async function callEndpoint<E extends Endpoint>(
  context: CallContext,
  endpoint: E,
  request: RequestOf<E>,
  options: CallOptions = {},
): Promise<AnswerOf<E>> {
  const attemptsMax = options.attemptsMax ?? connectionLimits.attemptsMax;
  const prepared = prepare(context, endpoint, request);
  for (let attempt = 0; ; attempt += 1) {
    try {
      return (await callOnce(context, endpoint, prepared, options.signal)) as AnswerOf<E>;
    } catch (error) {
      if (!(error instanceof AttemptFailed)) throw error;
      const aborted = options.signal?.aborted === true;
      if (!error.mayRepeat || attempt + 1 >= attemptsMax || aborted) throw error.failure;
      const own = backOffMs(connectionLimits.retry, attempt, context.random());
      await wait(context, Math.max(own, error.afterMs ?? 0), options.signal);
    }
  }
}

type Prepared = { readonly url: string; readonly init: RequestInit };

function prepare(context: CallContext, endpoint: Endpoint, request: unknown): Prepared {
  if (endpoint.caller !== 'anyone' && context.token === undefined) {
    throw new SiegelError('unauthenticated', endpoint.name);
  }
  const parsed = endpoint.request.safeParse(request);
  if (!parsed.success) {
    throw new SiegelError('request-invalid', endpoint.name, { cause: parsed.error });
  }
  const fields = new Map(Object.entries(parsed.data).filter(([, value]) => value !== undefined));
  const path = endpoint.path.replaceAll(/:(\w+)/g, (_, name: string) => {
    const value = String(fields.get(name));
    fields.delete(name);
    return encodeURIComponent(value);
  });
  const hasBody = endpoint.method === 'POST' || endpoint.method === 'PUT';
  const query = hasBody ? '' : queryOf(fields);
  return {
    url: `${context.url}${path}${query}`,
    init: {
      method: endpoint.method,
      headers: {
        ...(hasBody ? { 'content-type': 'application/json' } : {}),
        ...(endpoint.caller === 'anyone' ? {} : { authorization: `Bearer ${context.token}` }),
      },
      ...(hasBody ? { body: JSON.stringify(Object.fromEntries(fields)) } : {}),
    },
  };
}

function queryOf(fields: ReadonlyMap<string, unknown>): string {
  const query = new URLSearchParams(
    Array.from(fields, ([name, value]): [string, string] => [name, String(value)]),
  ).toString();
  return query === '' ? '' : `?${query}`;
}

/** Nothing of a browser's ambient identity goes along, and no other host is followed to. */
export const plainRequest = {
  redirect: 'error',
  credentials: 'omit',
  cache: 'no-store',
  referrerPolicy: 'no-referrer',
} as const satisfies RequestInit;

async function callOnce(
  context: CallContext,
  endpoint: Endpoint,
  prepared: Prepared,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const ending = new AbortController();
  const abort = () => ending.abort();
  const cancel = context.schedule(abort, connectionLimits.requestTimeoutMs);
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted === true) abort();
  try {
    const response = await context.fetch(prepared.url, {
      ...prepared.init,
      ...plainRequest,
      signal: ending.signal,
    });
    const body = await readBounded(response, connectionLimits.answerBytesMax);
    return answerOf(context, endpoint, response, body);
  } catch (error) {
    if (error instanceof AttemptFailed || error instanceof SiegelError) throw error;
    // fetch gives one nameless TypeError for refused, reset, unresolved and timed out alike.
    const failure = new SiegelError('relay-unreachable', endpoint.name, { cause: error });
    throw new AttemptFailed(failure, isRepeatable(endpoint));
  } finally {
    cancel();
    signal?.removeEventListener('abort', abort);
  }
}

function answerOf(
  context: CallContext,
  endpoint: Endpoint,
  response: Response,
  bytes: Uint8Array,
): unknown {
  const body = parseJson(bytes);
  const name = typeof body?.['outcome'] === 'string' ? body['outcome'] : undefined;
  if (name !== undefined && Object.hasOwn(endpoint.outcomes, name)) {
    const outcome = endpoint.outcomes[name]!;
    const parsed = outcome.body.safeParse(body);
    if (response.status === outcome.status && parsed.success) {
      return { outcome: name, ...parsed.data };
    }
    throw new SiegelError('relay-refused', `${endpoint.name}: ${name} is malformed`);
  }
  throw failureOf(context, endpoint, response, body);
}

function failureOf(
  context: CallContext,
  endpoint: Endpoint,
  response: Response,
  body: Record<string, unknown> | undefined,
): Error {
  const code = errorCodeOf(body);
  if (response.status === 401 || code === 'unauthenticated') {
    return new SiegelError('unauthenticated', endpoint.name);
  }
  const what = `${endpoint.name}: ${code ?? `status ${response.status}`}`;
  const retryable = code === undefined ? response.status >= 500 : errorCodes[code].retryable;
  if (!retryable) return new SiegelError('relay-refused', what);
  const mayRepeat = isRepeatable(endpoint) || (code !== undefined && refusedUntouched.has(code));
  const afterMs = retryAfterMs(context, response);
  const tooLong = afterMs !== undefined && afterMs > connectionLimits.retryAfterMsMax;
  return new AttemptFailed(
    new SiegelError('relay-unreachable', what),
    mayRepeat && !tooLong,
    afterMs,
  );
}

/** `Retry-After` (RFC 9110 §10.2.3) in either of its forms. */
function retryAfterMs(context: CallContext, response: Response): number | undefined {
  const header = response.headers.get('retry-after');
  if (header === null) return undefined;
  const seconds = /^[0-9]{1,6}$/.test(header) ? Number(header) * 1000 : undefined;
  const until = seconds ?? Date.parse(header) - context.now();
  return Number.isFinite(until) ? Math.max(0, until) : undefined;
}

/** The error body is `{ "error": { "code": … } }`. */
function errorCodeOf(body: Record<string, unknown> | undefined): ErrorCode | undefined {
  const error = body?.['error'];
  if (typeof error !== 'object' || error === null) return undefined;
  const code: unknown = (error as Record<string, unknown>)['code'];
  return typeof code === 'string' && Object.hasOwn(errorCodes, code)
    ? (code as ErrorCode)
    : undefined;
}

function parseJson(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
