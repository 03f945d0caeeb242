// The HTTP edge: every route of the Cloud API, its headers, its limits and its error envelope. The framework lives here alone.

import multipart from '@fastify/multipart';
import { limits } from '@siegel/protocol/limits';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { GatewayContext } from '../gateway-context.ts';
import { createLimiter } from '../limiter.ts';
import type { Metrics } from '../metrics.ts';
import type { Access } from '../tokens.ts';
import type { Answer } from './answer.ts';
import { authorise, type Needed, ownNumber, queryText } from './authorise.ts';
import { errorAnswer, noSuchObject, refusalOfError } from './cloud-api-error.ts';
import { getMedia, postMedia, removeMedia, sendMediaBytes } from './media-route.ts';
import { postMessage } from './messages-route.ts';
import { getNode, listPhoneNumbers } from './nodes-route.ts';
import type { PageRequest } from './page.ts';
import { addPortalPages } from './portal-pages.ts';
import {
  deleteSubscribedApps,
  getSubscribedApps,
  postSubscribedApps,
} from './subscribed-apps-route.ts';
import {
  getMessageTemplate,
  listMessageTemplates,
  postMessageTemplate,
} from './templates-route.ts';

const versionPrefix = /^\/v\d{1,3}\.\d{1,3}(?=\/|\?|$)/;
const versionDefault = 'v25.0';
const bodyBytesMax = 512 * 1024;
const requestsInFlightMax = 512;
const mediaAtOnce = 4;

export type ServeOptions = {
  readonly context: GatewayContext;
  readonly metrics: Metrics;
  /** true once the account is open, and while this process may write it */
  readonly ready: () => boolean;
  /** the portal's files, served at `/` */
  readonly portalFolder?: string | undefined;
};

const versions = new WeakMap<object, string>();

/** `/v25.0/123/messages` and `/123/messages` are one route; the version is remembered for the answer. */
function withoutVersion(request: { url?: string | undefined }): string {
  const url = request.url ?? '/';
  const version = versionPrefix.exec(url)?.[0];
  if (version === undefined) return url;
  versions.set(request, version);
  const rest = url.slice(version.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}

const traceId = (context: GatewayContext): string =>
  `A${Buffer.from(context.clock.random(12)).toString('base64url')}`;

async function refuseWith(
  context: GatewayContext,
  reply: FastifyReply,
  refusal: Extract<Answer, { refusal: unknown }>['refusal'],
): Promise<void> {
  const trace = String(reply.getHeader('x-fb-trace-id') ?? traceId(context));
  const answer = errorAnswer(refusal, trace);
  if (answer.retryAfterSeconds !== undefined) {
    reply.header('retry-after', Math.ceil(answer.retryAfterSeconds));
  }
  if (answer.status === 401) {
    reply.header('www-authenticate', `OAuth "Facebook Platform" "invalid_token"`);
  }
  await reply.code(answer.status).send(answer.body);
}

type Handler = (call: {
  access: Access;
  request: FastifyRequest;
  reply: FastifyReply;
  id: string;
}) => Promise<Answer | undefined> | Answer;

function headers(app: FastifyInstance, context: GatewayContext): void {
  app.addHook('onRequest', async (request, reply) => {
    const trace = traceId(context);
    const version = versions.get(request.raw)?.slice(1) ?? versionDefault;
    reply
      .header('x-fb-request-id', trace)
      .header('x-fb-trace-id', trace)
      .header('x-fb-rev', '1')
      .header('facebook-api-version', version)
      .header('x-app-usage', '{"call_count":0,"total_cputime":0,"total_time":0}')
      .header('referrer-policy', 'no-referrer')
      .header('x-content-type-options', 'nosniff')
      .header('cache-control', 'private, no-store');
  });
}

function errors(app: FastifyInstance, { context, metrics }: ServeOptions): void {
  app.setErrorHandler(async (error, request, reply) => {
    const { refusal, unexpected } = refusalOfError(error);
    if (unexpected) {
      // The error's own words may quote what a client sent: only its kind is noted.
      const { name, stack } = error as Error;
      const at = stack?.split('\n').find((line) => line.trim().startsWith('at '));
      context.log.error({ route: request.routeOptions.url, name, at: at?.trim() }, 'failed');
    }
    await refuseWith(context, reply, refusal);
  });
  app.setNotFoundHandler((_request, reply) => refuseWith(context, reply, { code: 2500 }));
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    metrics.requests.inc({ route, status: String(reply.statusCode) });
  });
}

/** Form bodies, as some tools send them to the management edges. */
function formBodies(app: FastifyInstance): void {
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(body.toString()))),
  );
  // An empty JSON body is no body: subscribing takes none, and clients still say application/json.
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') return done(null, undefined);
    try {
      // JSON.parse makes `__proto__` an ordinary own property; nothing here merges it into anything.
      return done(null, JSON.parse(body.toString()) as unknown);
    } catch {
      return done(
        Object.assign(new Error('not JSON'), { statusCode: 400, code: 'FST_ERR_CTP_JSON' }),
      );
    }
  });
}

function binder(app: FastifyInstance, { context }: ServeOptions) {
  let inFlight = 0;
  return (
    method: 'GET' | 'POST' | 'DELETE',
    url: string,
    needed: Needed,
    handler: Handler,
  ): void => {
    app.route({
      method,
      url,
      handler: async (request, reply) => {
        if (inFlight >= requestsInFlightMax) return refuseWith(context, reply, { code: 4 });
        inFlight += 1;
        try {
          const authorised = await authorise(context, request, needed);
          if ('refusal' in authorised) return await refuseWith(context, reply, authorised.refusal);
          const { id = '' } = request.params as { id?: string };
          const answer = await handler({ ...authorised, request, reply, id });
          if (answer === undefined) return reply;
          if ('refusal' in answer) return await refuseWith(context, reply, answer.refusal);
          return await reply.send(answer.body);
        } finally {
          inFlight -= 1;
        }
      },
    });
  };
}

function pageRequest(request: FastifyRequest): PageRequest {
  return {
    path: request.url.split('?')[0]!,
    version: versions.get(request.raw) ?? '',
    query: request.query,
    fields: queryText(request.query, 'fields'),
  };
}

function messagingRoutes(app: FastifyInstance, options: ServeOptions): void {
  const { context } = options;
  const bind = binder(app, options);
  const media = createLimiter(mediaAtOnce, 64);
  bind('POST', '/:id/messages', 'whatsapp_business_messaging', ({ access, request, id }) => {
    const own = ownNumber(context, access, id);
    if ('refusal' in own) return own;
    const automated = request.headers['x-siegel-automated'] === 'true';
    return postMessage(context, { number: own.number, body: request.body, automated, media });
  });
  bind('POST', '/:id/media', 'whatsapp_business_messaging', ({ access, request, id }) => {
    const own = ownNumber(context, access, id);
    return 'refusal' in own ? own : postMedia(context, own.number, request);
  });
  bind('GET', '/media-bytes/:id', 'signed-url', ({ access, request, reply }) =>
    sendMediaBytes(context, access, { request, reply }),
  );
  bind('DELETE', '/:id', 'whatsapp_business_messaging', ({ access, id }) =>
    removeMedia(context, access, id),
  );
}

function managementRoutes(app: FastifyInstance, options: ServeOptions): void {
  const { context } = options;
  const bind = binder(app, options);
  const management = 'whatsapp_business_management';
  bind('GET', '/:id', 'any', async ({ access, request, id }) => {
    const fields = queryText(request.query, 'fields');
    const node = await getNode(context, access, { id, fields });
    if (node !== undefined) return node;
    return access.permissions.includes('whatsapp_business_messaging')
      ? getMedia(context, access, request)
      : { refusal: noSuchObject };
  });
  bind('GET', '/:id/phone_numbers', management, ({ access, request, id }) =>
    listPhoneNumbers(context, access, { ...pageRequest(request), wabaId: id }),
  );
  bind('GET', '/:id/message_templates', management, ({ access, request, id }) =>
    listMessageTemplates(context, access, { ...pageRequest(request), wabaId: id }),
  );
  bind('GET', '/:id/message_templates/:templateId', management, ({ access, request, id }) => {
    const { templateId } = request.params as { templateId: string };
    const fields = queryText(request.query, 'fields');
    return getMessageTemplate(context, access, { wabaId: id, templateId, fields });
  });
  bind('POST', '/:id/message_templates', management, ({ access, request, id }) =>
    postMessageTemplate(context, access, { wabaId: id, body: request.body }),
  );
  bind('GET', '/:id/subscribed_apps', management, ({ access, id }) =>
    getSubscribedApps(context, access, id),
  );
  bind('POST', '/:id/subscribed_apps', management, ({ access, request, id }) =>
    postSubscribedApps(context, access, { wabaId: id, body: request.body, query: request.query }),
  );
  bind('DELETE', '/:id/subscribed_apps', management, ({ access, id }) =>
    deleteSubscribedApps(context, access, id),
  );
}

function statusRoutes(app: FastifyInstance, { context, metrics, ready }: ServeOptions): void {
  app.get('/health', async () => ({ status: 'ok' }));
  app.get('/ready', async (_request, reply) => {
    const database = await context.database.ping().then(
      () => true,
      () => false,
    );
    if (!database || !ready()) reply.code(503);
    return { ready: database && ready(), database, account: ready() };
  });
  app.get('/metrics', async (_request, reply) => {
    reply.type(metrics.contentType);
    return metrics.text();
  });
}

/** The server, not yet listening. */
export async function createServer(options: ServeOptions): Promise<FastifyInstance> {
  const { context } = options;
  const app = Fastify({
    logger: false,
    bodyLimit: bodyBytesMax,
    // A large upload over a thin line may take this long; each single wait is bounded by the socket's own time-out.
    requestTimeout: 300_000,
    connectionTimeout: 60_000,
    keepAliveTimeout: 72_000,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    rewriteUrl: withoutVersion,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 512 },
    frameworkErrors: (_error, _request, reply) => {
      void refuseWith(context, reply, { code: 2500 });
    },
  });
  await app.register(multipart, {
    limits: {
      fieldNameSize: 100,
      fieldSize: 16 * 1024,
      fields: 20,
      fileSize: limits.blobBytesMax + 1,
      files: 2,
      headerPairs: 50,
      parts: 24,
    },
    throwFileSizeLimit: false,
  });
  headers(app, context);
  errors(app, options);
  formBodies(app);
  messagingRoutes(app, options);
  managementRoutes(app, options);
  statusRoutes(app, options);
  if (options.portalFolder !== undefined) await addPortalPages(app, options.portalFolder);
  return app;
}
