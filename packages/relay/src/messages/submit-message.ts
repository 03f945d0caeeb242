// The rule of a submit (design §4, rules S1 to S9): what needs no store is decided here, the rest under the lock of the
// conversation in the batched accept.

import { SiegelError } from '@siegel/protocol/errors';
import type { AccountId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import {
  type AnswerOf,
  type DeliveredMessage,
  type submitMessage as endpoint,
  headerIsConsistent,
  type RelayTag,
  type RequestOf,
} from '@siegel/protocol/relay';
import type { DeviceCaller } from '../http/route.ts';
import type { Limit, RateLimiter } from '../rate-limits.ts';
import type { Acceptor, Decision } from './accept-messages.ts';

type Request = RequestOf<typeof endpoint>;
type Answer = AnswerOf<typeof endpoint>;

export type MessagePorts = {
  readonly acceptor: Pick<Acceptor, 'submit'>;
  /** The relay's own franking tag over what it accepts. */
  readonly tag: (tagged: Tagged) => RelayTag;
  readonly now: () => number;
  /** Named blobs of this owner stop being orphans; ids of others are passed over. Harmless to repeat. */
  readonly attachBlobs: (owner: AccountId, blobIds: readonly string[]) => Promise<void>;
  /** Control is free, so it is bounded per conversation and sender. */
  readonly controlRate: Pick<RateLimiter, 'take'>;
};

type Tagged = Pick<DeliveredMessage, 'sender' | 'conversationId' | 'clientId' | 'acceptedAt'> & {
  commitment: string;
};

const controlLimit: Limit = { burst: 240, perMinute: 240 };
const retentionMs = limits.mailboxRetentionDays * 86_400_000;
const typingMs = limits.typingSecondsMax * 1000;

export async function submitMessage(
  ports: MessagePorts,
  caller: DeviceCaller,
  request: Request,
): Promise<Answer> {
  // A commit has its own endpoint: it comes with a roster.
  if (!headerIsConsistent(request) || request.kind === 'commit') {
    throw new SiegelError('request-invalid', 'Class, kind, template and commitment disagree.');
  }
  if (request.class === 'control') {
    const key = `control/${request.conversationId}/${caller.accountId}/${caller.deviceId}`;
    const taken = ports.controlRate.take(key, controlLimit);
    if (!taken.taken) {
      return { outcome: 'rate-limited', retryAfterSeconds: taken.retryAfterSeconds };
    }
  }
  const acceptedAt = ports.now();
  const sender = { accountId: caller.accountId, deviceId: caller.deviceId };
  const decision = await ports.acceptor.submit({
    conversationId: request.conversationId,
    sender,
    clientId: request.clientId,
    generation: request.generation,
    epoch: request.epoch,
    kind: request.kind,
    template: request.template,
    acceptedAt,
    expiresAt: acceptedAt + (request.kind === 'typing' ? typingMs : retentionMs),
    item: itemOf(ports, { request, sender, acceptedAt }),
  });
  const taken = decision.outcome === 'accepted' || decision.outcome === 'duplicate';
  // Also for a duplicate: the first answer may have been lost before this was done.
  if (taken && request.blobs !== undefined && request.blobs.length > 0) {
    await ports.attachBlobs(caller.accountId, request.blobs);
  }
  return answerOf(decision);
}

/** The delivered item as JSON, all but position and sequence; delivery writes those in front. */
function itemOf(
  ports: MessagePorts,
  accepted: { request: Request; sender: DeliveredMessage['sender']; acceptedAt: number },
): string {
  const { request, sender, acceptedAt } = accepted;
  const { conversationId, clientId, commitment } = request;
  const tag = ports.tag({ commitment, sender, conversationId, clientId, acceptedAt });
  const item: Omit<DeliveredMessage, 'position' | 'sequence'> = {
    type: 'message',
    conversationId,
    generation: request.generation,
    epoch: request.epoch,
    sender,
    clientId,
    acceptedAt,
    class: request.class,
    kind: request.kind,
    commitment,
    ...(request.template === undefined ? {} : { template: request.template }),
    mls: request.mls,
    tag,
  };
  return JSON.stringify(item);
}

function answerOf(decision: Decision): Answer {
  switch (decision.outcome) {
    case 'accepted':
    case 'duplicate':
      return {
        outcome: 'accepted',
        sequence: decision.sequence,
        acceptedAt: decision.acceptedAt,
        duplicate: decision.outcome === 'duplicate',
      };
    case 'pair-rate':
      return {
        outcome: 'pair-rate',
        retryAfterSeconds: Math.max(1, Math.ceil(decision.retryAfterMs / 1000)),
      };
    default:
      return decision;
  }
}
