// Refusals that several endpoints share, so that one meaning has one name.

import * as z from 'zod/mini';
import { outcome } from './endpoint.ts';
import { Epoch, Generation } from './envelope.ts';

/** Try again after so many seconds. */
export const rateLimited = outcome(429, z.object({ retryAfterSeconds: z.int() }));
/** The caller is not a member, or there is no such conversation: one answer for both. */
export const notMember = outcome(404, z.object({}));
/** Blocked, unregistered and no device are one and the same answer (design §4). */
export const undeliverable = outcome(422, z.object({}));
/** Another commit was taken for this epoch: process it, then try again. */
export const epochConflict = outcome(409, z.object({ generation: Generation, epoch: Epoch }));
