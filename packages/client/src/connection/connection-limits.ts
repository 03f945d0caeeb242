// The limits a device keeps towards the relay. They are the device's own; what both ends must agree on is in @siegel/protocol/limits.

import { limits } from '@siegel/protocol/limits';

export const connectionLimits = {
  requestTimeoutMs: 20_000,
  /** Of one call, the first attempt included. */
  attemptsMax: 4,
  retry: { firstMs: 400, maxMs: 8_000 },
  /** A relay that asks for a longer pause than this gets its wish from the caller, not from a hanging promise. */
  retryAfterMsMax: 10_000,
  /** Key packages of a full group are the largest legal answer: about seven megabytes. */
  answerBytesMax: 16 * 1024 * 1024,
  /** No byte for so long ends a transfer. */
  blobIdleMs: 30_000,
  blobAttemptsMax: 6,
  socketOpenMs: 15_000,
  /** A socket on which nothing came for so long is asked … */
  socketQuietMs: 25_000,
  /** … and given up when it does not answer. */
  socketPongMs: 10_000,
  socketRetry: { firstMs: 500, maxMs: 60_000 },
  /** A frame of `socketItemsInFlight` items, each as large as a commit may be. */
  socketFrameCharsMax: 64 * 1024 * 1024,
  /** The relay may not send more before an acknowledgement; twice that is a fault, not a hurry. */
  socketItemsQueuedMax: 2 * limits.socketItemsInFlight,
} as const;
