// Submitting one sealed message. The outcomes stand in the order in which the relay decides (design §4).

import * as z from 'zod/mini';
import { base64Url, ClientId, ConversationId, NumericId } from '../ids.ts';
import { limits } from '../limits.ts';
import { BlobId } from './blobs.ts';
import { RosterLeaf } from './conversations.ts';
import { defineEndpoint, outcome } from './endpoint.ts';
import {
  EnvelopeClass,
  EnvelopeKind,
  Epoch,
  Generation,
  TemplateCategory,
  Time,
} from './envelope.ts';
import { notMember, rateLimited, undeliverable } from './refusals.ts';

export const submitMessage = defineEndpoint({
  name: 'submitMessage',
  method: 'POST',
  path: '/v1/conversations/:conversationId/messages',
  caller: 'device',
  summary: 'Submit one sealed message or control message; stored before the answer.',
  request: z.strictObject({
    conversationId: ConversationId,
    generation: Generation,
    epoch: Epoch,
    class: EnvelopeClass,
    kind: EnvelopeKind,
    clientId: ClientId,
    commitment: base64Url(32, 32),
    template: z.optional(z.strictObject({ id: NumericId, category: TemplateCategory })),
    mls: base64Url(limits.sealedBytesMax, 1),
    /** blobs this message refers to; they stop being orphans */
    blobs: z.optional(z.array(BlobId).check(z.maxLength(limits.blobsPerMessage))),
  }),
  outcomes: {
    accepted: outcome(
      200,
      z.object({ sequence: z.int(), acceptedAt: Time, duplicate: z.boolean() }),
    ),
    'rate-limited': rateLimited,
    'quota-reached': outcome(429, z.object({ retryAfterSeconds: z.int() })),
    'not-member': notMember,
    /** revoked leaves are still in the group: remove them first */
    'removal-required': outcome(409, z.object({ leaves: z.array(RosterLeaf) })),
    'stale-epoch': outcome(409, z.object({ generation: Generation, epoch: Epoch })),
    undeliverable,
    'window-closed': outcome(403, z.object({})),
    'template-refused': outcome(
      422,
      z.object({
        reason: z.enum(['unknown', 'not-approved', 'paused', 'disabled', 'wrong-category']),
      }),
    ),
    'pair-rate': outcome(429, z.object({ retryAfterSeconds: z.int() })),
  },
  rules: ['S1', 'S2', 'S3', 'S4', 'S5', 'S6', 'S7', 'S8', 'S9'],
});
