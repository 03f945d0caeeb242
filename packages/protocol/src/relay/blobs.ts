// Sealed blobs: media that a sender sealed before upload. The relay keeps bytes under an id plus a secret and knows nothing else.

import * as z from 'zod/mini';
import { base64Url } from '../ids.ts';
import { limits } from '../limits.ts';
import { defineEndpoint, outcome } from './endpoint.ts';
import { Time } from './envelope.ts';
import { rateLimited } from './refusals.ts';

/** 128 random bits, chosen by the relay. */
export const BlobId = base64Url(16, 16);
/** What a reader must show beside the id. It travels only inside sealed content. */
export const BlobSecret = base64Url(16, 16);

export const createBlob = defineEndpoint({
  name: 'createBlob',
  method: 'POST',
  path: '/v1/blobs',
  caller: 'device',
  summary: 'Reserve room for a sealed blob; the quota is checked before any byte is sent.',
  request: z.strictObject({ bytes: z.int().check(z.minimum(1), z.maximum(limits.blobBytesMax)) }),
  outcomes: {
    created: outcome(200, z.object({ blobId: BlobId, secret: BlobSecret, expiresAt: Time })),
    'quota-reached': outcome(429, z.object({ retryAfterSeconds: z.int() })),
    'rate-limited': rateLimited,
  },
  rules: ['B1', 'B2'],
});

/**
 * Raw bytes go beside the JSON contract: `PUT /v1/blobs/:blobId` (device token, `application/octet-stream`, exactly the
 * reserved length) answers 204, 404, 409 (already written) or 413; `GET /v1/blobs/:blobId` with header `X-Siegel-Blob-Secret`
 * answers 200 or 206 (RFC 9110 Range), and 404 for a wrong secret, an unknown or an expired id alike.
 */
export const blobPath = (blobId: string) => `/v1/blobs/${blobId}`;
export const blobSecretHeader = 'x-siegel-blob-secret';
