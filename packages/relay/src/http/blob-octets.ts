// Raw octets of sealed blobs over HTTP: a streamed PUT of exactly the reserved length, a GET with Range (RFC 9110 §14).

import type { Readable } from 'node:stream';
import { SiegelError } from '@siegel/protocol/errors';
import { limits } from '@siegel/protocol/limits';
import { blobPath, blobSecretHeader } from '@siegel/protocol/relay';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Metrics } from '../metrics.ts';
import { authenticate, type HandlePorts, takeFor } from './handle.ts';
import type { DeviceCaller } from './route.ts';
import { refuseOtherMethods } from './serve.ts';

export type BlobOctetPorts = Pick<HandlePorts, 'authenticator' | 'rateLimiter'> & {
  readonly metrics: Metrics;
  readonly writeBlob: (
    caller: DeviceCaller,
    upload: {
      readonly blobId: string;
      readonly declaredBytes: number | undefined;
      readonly octets: AsyncIterable<Uint8Array>;
    },
  ) => Promise<'written' | 'not-found' | 'already-written' | 'too-long' | 'too-short'>;
  readonly findBlob: (
    blobId: string,
    secret: string,
  ) => Promise<
    | {
        readonly bytes: number;
        readonly read: (range: { start: number; end: number }) => Readable;
      }
    | undefined
  >;
};

const octetStream = 'application/octet-stream';
/** An upload that stands still this long is over. */
const stallSeconds = 30;

export function addBlobRoutes(app: FastifyInstance, ports: BlobOctetPorts): void {
  const url = blobPath(':blobId');
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(octetStream, (_request, payload, done) => done(null, payload));
    scope.put(url, {
      bodyLimit: limits.blobBytesMax,
      config: { endpoint: 'putBlob' },
      onRequest: (request, reply) => admit(ports, request, reply),
      handler: (request, reply) => put(ports, request, reply),
    });
    scope.get(url, { config: { endpoint: 'getBlob' } }, (request, reply) =>
      get(ports, request, reply),
    );
  });
  refuseOtherMethods(app, url, ['GET', 'PUT']);
}

const uploaders = new WeakMap<FastifyRequest, DeviceCaller>();

async function admit(ports: BlobOctetPorts, request: FastifyRequest, reply: FastifyReply) {
  const caller = await authenticate(ports, request, 'device');
  if (caller.kind !== 'device') throw new SiegelError('unauthenticated');
  refuseTooMany(reply, takeFor(ports.rateLimiter, 'putBlob', caller));
  uploaders.set(request, caller);
}

function refuseTooMany(reply: FastifyReply, taken: ReturnType<typeof takeFor>): void {
  if (taken.taken) return;
  reply.header('retry-after', String(taken.retryAfterSeconds));
  throw new SiegelError('too-many-requests');
}

const blobIdOf = (request: FastifyRequest) => (request.params as { blobId: string }).blobId;

async function put(ports: BlobOctetPorts, request: FastifyRequest, reply: FastifyReply) {
  const caller = uploaders.get(request);
  if (caller === undefined) throw new SiegelError('unauthenticated');
  const length = request.headers['content-length'];
  request.raw.setTimeout(stallSeconds * 1000, () => request.raw.destroy());
  const octets = (request.body ?? []) as AsyncIterable<Uint8Array>;
  const declaredBytes = length === undefined ? undefined : Number(length);
  const outcome = await ports.writeBlob(caller, {
    ...{ blobId: blobIdOf(request), declaredBytes, octets },
  });
  ports.metrics.requests.inc({ endpoint: 'putBlob', outcome });
  switch (outcome) {
    case 'written':
      ports.metrics.blobBytes.inc({ direction: 'in' }, declaredBytes ?? 0);
      return reply.code(204).send();
    case 'not-found':
      throw new SiegelError('not-found');
    case 'already-written':
      // What was not read of it must not be taken for the next request.
      if (!request.raw.complete) reply.header('connection', 'close');
      return reply.code(409).send({ outcome });
    case 'too-long':
      throw new SiegelError('request-too-large', 'It has more octets than were reserved.');
    case 'too-short':
      throw new SiegelError('request-invalid', 'It has fewer octets than were reserved.');
  }
}

async function get(ports: BlobOctetPorts, request: FastifyRequest, reply: FastifyReply) {
  const caller = { kind: 'anyone', address: request.ip } as const;
  refuseTooMany(reply, takeFor(ports.rateLimiter, 'getBlob', caller));
  const secret = request.headers[blobSecretHeader];
  const blob = await ports.findBlob(blobIdOf(request), typeof secret === 'string' ? secret : '');
  if (blob === undefined) throw new SiegelError('not-found');
  const range = readRange(request.headers.range, blob.bytes);
  reply.headers({ 'accept-ranges': 'bytes', 'content-type': octetStream });
  if (range === 'unsatisfiable') {
    reply.header('content-range', `bytes */${blob.bytes}`);
    ports.metrics.requests.inc({ endpoint: 'getBlob', outcome: 'range-refused' });
    return reply.code(416).send();
  }
  const { start, end } = range ?? { start: 0, end: blob.bytes - 1 };
  if (range !== undefined) reply.header('content-range', `bytes ${start}-${end}/${blob.bytes}`);
  reply.header('content-length', String(end - start + 1));
  ports.metrics.requests.inc({ endpoint: 'getBlob', outcome: 'found' });
  ports.metrics.blobBytes.inc({ direction: 'out' }, end - start + 1);
  return reply.code(range === undefined ? 200 : 206).send(blob.read({ start, end }));
}

type Range = { readonly start: number; readonly end: number };

/** One range; several, or another unit, are answered with the whole as RFC 9110 §14.2 allows. */
export function readRange(
  header: string | undefined,
  bytes: number,
): Range | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (match === null || (first === '' && last === '')) return undefined;
  if (first === '') {
    const length = Math.min(Number(last), bytes);
    return length === 0 ? 'unsatisfiable' : { start: bytes - length, end: bytes - 1 };
  }
  const start = Number(first);
  const end = last === '' ? bytes - 1 : Math.min(Number(last), bytes - 1);
  if (last !== '' && Number(last) < start) return undefined;
  return start >= bytes ? 'unsatisfiable' : { start, end };
}
