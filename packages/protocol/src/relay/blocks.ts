// Blocks: any firm and any person can be blocked. A firm is blocked whole, with all its numbers.

import * as z from 'zod/mini';
import { AccountId } from '../ids.ts';
import { defineEndpoint, outcome } from './endpoint.ts';
import { Time } from './envelope.ts';
import { rateLimited } from './refusals.ts';

export const block = defineEndpoint({
  name: 'block',
  method: 'PUT',
  path: '/v1/blocks/:accountId',
  caller: 'device',
  summary:
    'From the next submit on nothing of this account reaches the caller. The blocked side is not told.',
  request: z.strictObject({ accountId: AccountId }),
  outcomes: {
    blocked: outcome(200, z.object({})),
    'quota-reached': outcome(429, z.object({ retryAfterSeconds: z.int() })),
    'rate-limited': rateLimited,
  },
  rules: ['X1', 'X2'],
});

export const unblock = defineEndpoint({
  name: 'unblock',
  method: 'DELETE',
  path: '/v1/blocks/:accountId',
  caller: 'device',
  summary: 'Lift a block.',
  request: z.strictObject({ accountId: AccountId }),
  outcomes: { unblocked: outcome(200, z.object({})), 'rate-limited': rateLimited },
  rules: ['X1'],
});

export const listBlocks = defineEndpoint({
  name: 'listBlocks',
  method: 'GET',
  path: '/v1/blocks',
  caller: 'device',
  summary: 'The caller’s own blocks.',
  request: z.strictObject({}),
  outcomes: {
    blocks: outcome(
      200,
      z.object({ blocks: z.array(z.object({ accountId: AccountId, since: Time })) }),
    ),
  },
  rules: ['X1'],
});
