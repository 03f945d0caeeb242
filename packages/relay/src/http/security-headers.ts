// Headers of every answer, and which web origins may read one. CORS stays closed but for our own web apps' origins.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

const always = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
  'permissions-policy': 'browsing-topics=()',
};

/** The API answers JSON that no page should render and no cache should keep. */
const apiOnly = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

export function addSecurityHeaders(
  app: FastifyInstance,
  isWebOrigin: (origin: string) => boolean,
): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ ...always, ...apiOnly });
    return answerCrossOrigin(request, reply, isWebOrigin);
  });
}

export const pageHeaders = (connectTo: readonly string[]) => ({
  ...always,
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "media-src 'self' blob:",
    "font-src 'self'",
    `connect-src ${["'self'", ...connectTo].join(' ')}`,
    "worker-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; '),
});

function answerCrossOrigin(
  request: FastifyRequest,
  reply: FastifyReply,
  isWebOrigin: (origin: string) => boolean,
): FastifyReply | undefined {
  const { origin } = request.headers;
  if (origin === undefined || !isWebOrigin(origin)) return undefined;
  reply.headers({
    'access-control-allow-origin': origin,
    'access-control-expose-headers': 'Retry-After, Content-Range',
    'cross-origin-resource-policy': 'cross-origin',
    vary: 'Origin',
  });
  if (request.method !== 'OPTIONS') return undefined;
  reply.headers({
    'access-control-allow-methods': 'GET, POST, PUT, DELETE',
    'access-control-allow-headers': 'Authorization, Content-Type, Range, X-Siegel-Blob-Secret',
    'access-control-max-age': '600',
  });
  return reply.code(204).send();
}
