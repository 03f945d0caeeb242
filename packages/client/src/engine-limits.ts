// The engine's own limits and pauses. What both ends must agree on is in @siegel/protocol/limits.

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

export const engineLimits = {
  conversationsInParallel: { person: 4, business: 16 },
  sessionsInMemory: 1024,
  upkeepMs: 6 * hour,
  /** A certificate is renewed when it lives no longer than this. */
  certificateRenewalMs: 30 * day,
  /** A number may go to somebody else; after so long the relay is asked again. */
  numberKnownMs: day,
  /** Keys of one account remembered beside the pinned one, so that no older list comes back with them. */
  formerKeysMax: 64,
  outboxMax: 100_000,
  /** A message that could not be sent for so long has failed. */
  outboxExpiryMs: 30 * day,
  /** Steps a worker takes before it lets others have its place. */
  stepsPerTurn: 64,
  retry: { firstMs: 500, maxMs: 5 * minute },
  commitAttemptsMax: 5,
  /** The winner's commit or Welcome is on its way; after so long this device helps itself. */
  winnerMs: 5 * second,
  /** e2ee.md §8: when a device heals its keys by a commit. */
  refreshMs: 7 * day,
  refreshMessages: 200,
  /** Pause between founding a generation and founding another one in the same conversation. */
  nextGenerationMs: minute,
  /** Pause when a generation could not be founded because nobody could be reached. */
  unreachableMs: hour,
  parkedPerConversation: 1000,
  parkedMs: 30 * day,
  /** When a sender is asked again for what could not be opened; after the last one the chat says so. */
  resendRequestMs: [0, 30 * second, 10 * minute, 6 * hour],
  resendRequestsShown: 2,
  resendsPerMessage: 5,
  /** A content sent again must fit into a control message (body.ts of the contract). */
  resendBytesMax: 60 * 1024,
  resendKeptMs: 30 * day,
  receiptDelayMs: 250,
  receiptsPerMessage: 500,
  typingQueueMax: 4,
} as const;
