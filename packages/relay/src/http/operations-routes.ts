// What an operator's tools ask: is it alive, may it get traffic, what does it count; and, in a town, which SMS came.

import { SiegelError } from '@siegel/protocol/errors';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import * as z from 'zod/mini';
import { isLoopback } from '../config.ts';
import type { Metrics } from '../metrics.ts';
import type { Authenticator } from './authenticate.ts';
import { bearerToken } from './handle.ts';

type TownText = { readonly to: string; readonly text: string; readonly at: number };

export type OperationsPorts = {
  readonly metrics: Metrics;
  readonly authenticator: Authenticator;
  /** Rejects when the relay should get no traffic: the store is away, or it is stopping. */
  readonly checkReady: () => Promise<void>;
  /** Only in a town. */
  readonly townInbox?: (number: string) => readonly TownText[];
};

const InboxQuery = z.strictObject({ number: z.string().check(z.regex(/^ ?\+?[0-9]{7,15}$/)) });

export function addOperationsRoutes(app: FastifyInstance, ports: OperationsPorts): void {
  app.get('/health', { config: { endpoint: 'health' } }, async () => ({ status: 'ok' }));
  app.get('/ready', { config: { endpoint: 'ready' } }, async (_request, reply) => {
    try {
      await ports.checkReady();
      return { status: 'ready' };
    } catch {
      return reply.code(503).send({ status: 'not-ready' });
    }
  });
  app.get('/metrics', { config: { endpoint: 'metrics' } }, async (request, reply) => {
    const mayRead = isLoopback(request.ip) || ports.authenticator.isOperator(bearerToken(request));
    if (!mayRead) throw new SiegelError('not-found');
    reply.type(ports.metrics.registry.contentType);
    return ports.metrics.registry.metrics();
  });
  const { townInbox } = ports;
  if (townInbox === undefined) return;
  app.get('/sms-inbox', { config: { endpoint: 'smsInbox' } }, async (request) => {
    if (!isFromThisMachine(request)) throw new SiegelError('not-found');
    const query = InboxQuery.safeParse(request.query);
    if (!query.success) throw new SiegelError('request-invalid', 'number must be E.164.');
    // A plus sign that was not escaped arrives as a space.
    return townInbox(`+${query.data.number.replace(/^[ +]/, '')}`);
  });
}

/** The name asked for counts as well: a page elsewhere may let its own name point here (DNS rebinding). */
function isFromThisMachine(request: FastifyRequest): boolean {
  const name = request.hostname.replace(/^\[|\]$/g, '');
  return isLoopback(request.ip) && isLoopback(name);
}
