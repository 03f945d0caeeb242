// The status of an own message only moves forward: late, repeated and reordered news change nothing (as in Signal-Desktop).

import type { MessageStatus } from './account-api.ts';

const rank: Record<Exclude<MessageStatus, 'failed'>, number> = {
  pending: 0,
  sent: 1,
  delivered: 2,
  read: 3,
  played: 4,
};

/**
 * The next status, or undefined when the news is old. A failure is told of a message that the relay has not taken, and is
 * final but for a receipt: whoever received a message knows better than we do.
 */
export function advanceStatus(
  current: MessageStatus,
  news: MessageStatus,
): MessageStatus | undefined {
  if (news === 'failed') return current === 'pending' ? news : undefined;
  if (current === 'failed') return rank[news] >= rank.delivered ? news : undefined;
  return rank[news] > rank[current] ? news : undefined;
}
