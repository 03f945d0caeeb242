// The one way every endpoint is served: who calls, how much may they, what do they want, and only then the rule.

import { SiegelError } from '@siegel/protocol/errors';
import type { Endpoint } from '@siegel/protocol/relay';
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { Metrics } from '../metrics.ts';
import {
  addressKey,
  failedTokens,
  type Limit,
  limitFor,
  type RateLimiter,
  type Taken,
} from '../rate-limits.ts';
import type { Authenticator } from './authenticate.ts';
import { parseRequest } from './parse-request.ts';
import type { Caller, Route } from './route.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The name under which a route is counted. */
    endpoint?: string;
  }
}

export type HandlePorts = {
  readonly authenticator: Authenticator;
  readonly rateLimiter: RateLimiter;
  readonly metrics: Metrics;
  /** A body that is not there after so long ends the connection. */
  readonly bodySeconds: number;
};

const callers = new WeakMap<FastifyRequest, Caller>();

export const bearerToken = (request: FastifyRequest): string =>
  /^Bearer ([A-Za-z0-9_-]{1,128})$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';

/** Throws `unauthenticated`, and counts it against the address. */
export async function authenticate(
  ports: Pick<HandlePorts, 'authenticator' | 'rateLimiter'>,
  request: FastifyRequest,
  kind: Endpoint['caller'],
): Promise<Caller> {
  const address = request.ip;
  if (kind === 'anyone') return { kind, address };
  const key = `failed-tokens/${addressKey(address)}`;
  if (!ports.rateLimiter.peek(key, failedTokens).taken) throw new SiegelError('too-many-requests');
  const token = bearerToken(request);
  if (kind === 'operator' && ports.authenticator.isOperator(token)) return { kind, address };
  const device = kind === 'device' ? await ports.authenticator.device(token) : undefined;
  if (device !== undefined) return { kind: 'device', address, ...device };
  ports.rateLimiter.take(key, failedTokens);
  throw new SiegelError('unauthenticated');
}

export function takeFor(rateLimiter: RateLimiter, endpoint: string, caller: Caller): Taken {
  const [who, key] = whoAndKey(caller);
  if (who === undefined) return { taken: true };
  const limit: Limit = limitFor(endpoint, who);
  return rateLimiter.take(`${endpoint}/${key}`, limit);
}

function whoAndKey(caller: Caller): ['person' | 'business' | 'address' | undefined, string] {
  switch (caller.kind) {
    case 'operator':
      return [undefined, ''];
    case 'anyone':
      return ['address', addressKey(caller.address)];
    case 'device':
      return [caller.account, `${caller.accountId}/${caller.deviceId}`];
  }
}

/** Turns a route of the contract into one of the framework. */
export function handle(ports: HandlePorts, { endpoint, run }: Route): RouteOptions {
  const count = (outcome: string) =>
    ports.metrics.requests.inc({ endpoint: endpoint.name, outcome });

  function answer(reply: FastifyReply, body: { outcome: string; retryAfterSeconds?: unknown }) {
    const outcome = endpoint.outcomes[body.outcome];
    if (outcome === undefined) throw new Error(`${endpoint.name} has no such outcome`);
    count(body.outcome);
    if (typeof body.retryAfterSeconds === 'number') {
      reply.header('retry-after', String(body.retryAfterSeconds));
    }
    return reply.code(outcome.status).send(body);
  }

  return {
    method: endpoint.method,
    url: endpoint.path,
    config: { endpoint: endpoint.name },
    onRequest: async (request, reply) => {
      const caller = await authenticate(ports, request, endpoint.caller);
      callers.set(request, caller);
      const taken = takeFor(ports.rateLimiter, endpoint.name, caller);
      if (!taken.taken) {
        const { retryAfterSeconds } = taken;
        if (endpoint.outcomes['rate-limited'] !== undefined) {
          return answer(reply, { outcome: 'rate-limited', retryAfterSeconds });
        }
        reply.header('retry-after', String(retryAfterSeconds));
        throw new SiegelError('too-many-requests');
      }
      endSlowBody(request, ports.bodySeconds);
      return undefined;
    },
    handler: async (request, reply) => {
      const caller = callers.get(request);
      if (caller === undefined) throw new Error('a request reached its rule unauthenticated');
      const { params, query, body } = request;
      const parsed = parseRequest(endpoint, { params, query, body });
      return answer(reply, await run(caller, parsed));
    },
  };
}

/** Someone who sends a body octet by octet would hold a connection for as long as they like. */
function endSlowBody(request: FastifyRequest, seconds: number): void {
  if (request.raw.complete) return;
  const timer = setTimeout(() => {
    if (!request.raw.complete) request.raw.destroy();
  }, seconds * 1000);
  timer.unref();
  const clear = () => clearTimeout(timer);
  request.raw.once('end', clear).once('close', clear);
}
