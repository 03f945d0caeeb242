// The HTTP server of the relay: limits, headers, routes, and the shape of every refusal. The framework is known in this
// folder only; rules never see it.

import { readFile } from 'node:fs/promises';
import type { Server } from 'node:https';
import { limits } from '@siegel/protocol/limits';
import fastify, {
  type FastifyHttpsOptions,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type HTTPMethods,
} from 'fastify';
import type { RelayConfig } from '../config.ts';
import type { Events } from '../events.ts';
import { answerOf, errorAnswer } from './error-response.ts';
import { type HandlePorts, handle } from './handle.ts';
import type { Route } from './route.ts';
import { addSecurityHeaders } from './security-headers.ts';

const seconds = 1000;
const headerSeconds = 10;
/** A whole request, the largest blob on a slow line included. */
const requestSeconds = 600;
const methods: HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'];

/** A server of the framework, under a name that other folders may use. */
export type Edge = FastifyInstance;

/** What a page server needs; the relay's own server needs more. */
export type EdgePorts = {
  readonly config: RelayConfig;
  readonly events: Events;
  readonly metrics: HandlePorts['metrics'];
  readonly isWebOrigin: (origin: string) => boolean;
  readonly isStopping: () => boolean;
};

export type ServePorts = EdgePorts &
  Omit<HandlePorts, 'bodySeconds'> & {
    readonly routes: readonly Route[];
  };

/** The contract's endpoints, on an edge. */
export async function createServer(ports: ServePorts): Promise<FastifyInstance> {
  const app = await createEdge(ports);
  takeJsonOnly(app);
  addRoutes(app, ports);
  return app;
}

/** Limits, headers and the shape of refusals, and nothing behind them yet. */
export async function createEdge(ports: EdgePorts): Promise<FastifyInstance> {
  const { config, metrics } = ports;
  const app = fastify(await serverOptions(ports)) as unknown as FastifyInstance;
  app.server.headersTimeout = headerSeconds * seconds;
  app.server.maxConnections = config.connectionsMax;
  addSecurityHeaders(app, ports.isWebOrigin);
  app.addHook('onRequest', async () => {
    if (ports.isStopping()) throw stopping;
  });
  app.addHook('onSend', async (_request, reply) => {
    // A connection kept open would hold up the stop.
    if (ports.isStopping()) reply.header('connection', 'close');
  });
  app.addHook('onResponse', async (request, reply) => {
    const endpoint = endpointOf(request);
    metrics.requestSeconds.observe({ endpoint }, reply.elapsedTime / seconds);
  });
  app.setErrorHandler((error, request, reply) => sendFailure({ error, request, reply, ports }));
  app.setNotFoundHandler((_request, reply) => send(reply, answerOf('not-found')));
  return app;
}

const brokenBody = JSON.stringify(answerOf('request-invalid').body);
const brokenAnswer = [
  'HTTP/1.1 400 Bad Request',
  'Connection: close',
  'Content-Type: application/json; charset=utf-8',
  `Content-Length: ${Buffer.byteLength(brokenBody)}`,
  '',
  brokenBody,
].join('\r\n');

const stopping = Object.assign(new Error('stopping'), { isStopping: true });

async function serverOptions({
  config,
  events,
  metrics,
}: EdgePorts): Promise<FastifyHttpsOptions<Server>> {
  const https = config.tls && {
    cert: await readFile(config.tls.certificateFile),
    key: await readFile(config.tls.keyFile),
    minVersion: 'TLSv1.2' as const,
  };
  return {
    logger: false as const,
    // One proxy, whose own entry in X-Forwarded-For is the last one.
    trustProxy: config.behindProxy ? (_address, hop) => hop === 0 : false,
    bodyLimit: limits.requestBytesMax,
    requestTimeout: requestSeconds * seconds,
    keepAliveTimeout: 65 * seconds,
    connectionTimeout: 0,
    forceCloseConnections: 'idle' as const,
    // Our own hook answers, in our own form.
    return503OnClosing: false,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 256 },
    // No HTTP, or headers that took too long or too much room.
    clientErrorHandler: (_error, socket) => {
      metrics.requests.inc({ endpoint: 'none', outcome: 'broken' });
      if (socket.writable) socket.end(brokenAnswer);
      else socket.destroy();
    },
    frameworkErrors: (error, _request, reply) => {
      events.socketFailed(error);
      send(reply, answerOf('request-invalid'));
    },
    https: https ?? null,
  };
}

const endpointOf = (request: FastifyRequest): string =>
  request.routeOptions.config.endpoint ?? 'none';

const send = (reply: FastifyReply, { status, body }: ReturnType<typeof errorAnswer>) =>
  reply.code(status).send(body);

type Failed = {
  readonly error: unknown;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly ports: EdgePorts;
};

function sendFailure({ error, request, reply, ports }: Failed) {
  const answer = error === stopping ? answerOf('shutting-down') : errorAnswer(error);
  const endpoint = endpointOf(request);
  ports.metrics.requests.inc({ endpoint, outcome: answer.body.error.code });
  if (answer.status >= 500 && error !== stopping) ports.events.requestFailed(endpoint, error);
  if (answer.status === 401) reply.header('www-authenticate', 'Bearer');
  // What was not read of a refused body must not be taken for the next request.
  if (!request.raw.complete) reply.header('connection', 'close');
  return send(reply, answer);
}

/** JSON objects only; `__proto__` and `constructor.prototype` are refused by the framework's parser. */
function takeJsonOnly(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else void parse(request, body as string, done);
  });
}

function addRoutes(app: FastifyInstance, ports: ServePorts): void {
  const taken = new Map<string, string[]>();
  for (const route of ports.routes) {
    app.route(handle({ ...ports, bodySeconds: 20 }, route));
    const { method, path } = route.endpoint;
    taken.set(path, [...(taken.get(path) ?? []), method]);
  }
  for (const [path, allowed] of taken) refuseOtherMethods(app, path, allowed);
}

/** 405 with `Allow`, instead of claiming that there is nothing at this address. */
export function refuseOtherMethods(
  app: FastifyInstance,
  url: string,
  allowed: readonly string[],
): void {
  app.route({
    method: methods.filter((method) => !allowed.includes(method)),
    url,
    // A body of any type is not looked at.
    onRequest: async (_request, reply) => {
      reply.header('allow', allowed.join(', '));
      return send(reply, answerOf('method-not-allowed'));
    },
    handler: (_request, reply) => send(reply, answerOf('method-not-allowed')),
  });
}
