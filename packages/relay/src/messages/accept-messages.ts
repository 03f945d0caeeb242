// The batched accept: submits gather while a statement is under way and are decided together by `accept_batch`
// (migrations/0002-hot-path.sql), each conversation under its own row lock.

import {
  type Batcher,
  createBatcher,
  type Database,
  type Queryable,
  retryConflicts,
} from '@siegel/database';
import { bucketOf, type ClientId, type ConversationId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type {
  DeviceAddress,
  EnvelopeKind,
  RosterLeaf,
  TemplateCategory,
} from '@siegel/protocol/relay';

/** A submit as the store decides it. `item` is the JSON of the delivered item without position and sequence. */
export type Submission = {
  readonly conversationId: ConversationId;
  readonly sender: DeviceAddress;
  readonly clientId: ClientId;
  readonly generation: number;
  readonly epoch: number;
  readonly kind: EnvelopeKind;
  readonly template?: { readonly id: string; readonly category: TemplateCategory } | undefined;
  readonly acceptedAt: number;
  readonly expiresAt: number;
  readonly item: string;
};

export type TemplateReason = 'unknown' | 'not-approved' | 'paused' | 'disabled' | 'wrong-category';

/** What the store decided, rules S3 to S9. */
export type Decision =
  | {
      readonly outcome: 'accepted' | 'duplicate';
      readonly sequence: number;
      readonly acceptedAt: number;
    }
  | { readonly outcome: 'not-member' | 'undeliverable' | 'window-closed' }
  | { readonly outcome: 'removal-required'; readonly leaves: RosterLeaf[] }
  | { readonly outcome: 'stale-epoch'; readonly generation: number; readonly epoch: number }
  | { readonly outcome: 'template-refused'; readonly reason: TemplateReason }
  | { readonly outcome: 'pair-rate'; readonly retryAfterMs: number };

type Row = {
  o_message: number;
  o_outcome: Decision['outcome'];
  o_sequence: number;
  o_accepted_at: number;
  o_generation: number;
  o_epoch: number;
  o_retry_after_ms: number;
  o_reason: TemplateReason;
  o_leaves: RosterLeaf[];
};

const statement = `
  SELECT * FROM accept_batch($1::int[], $2::uuid[], $3::uuid[], $4::smallint[], $5::uuid[], $6::int[],
    $7::bigint[], $8::text[], $9::bigint[], $10::text[], $11::bigint[], $12::bigint[], $13::text[],
    $14::bigint, $15::bigint, $16::int)`;

const windowMs = limits.serviceWindowHours * 3_600_000;
const pairIntervalMs = limits.pairRate.secondsPerMessage * 1000;

function parametersOf(batch: readonly Submission[]): unknown[] {
  return [
    batch.map((one) => bucketOf(one.conversationId)),
    batch.map((one) => one.conversationId),
    batch.map((one) => one.sender.accountId),
    batch.map((one) => one.sender.deviceId),
    batch.map((one) => one.clientId),
    batch.map((one) => one.generation),
    batch.map((one) => one.epoch),
    batch.map((one) => one.kind),
    batch.map((one) => one.template?.id ?? null),
    batch.map((one) => one.template?.category ?? null),
    batch.map((one) => one.acceptedAt),
    batch.map((one) => one.expiresAt),
    batch.map((one) => one.item),
    windowMs,
    pairIntervalMs,
    limits.pairRate.burst,
  ];
}

function decisionOf(row: Row): Decision {
  switch (row.o_outcome) {
    case 'accepted':
    case 'duplicate':
      return { outcome: row.o_outcome, sequence: row.o_sequence, acceptedAt: row.o_accepted_at };
    case 'removal-required':
      return { outcome: row.o_outcome, leaves: row.o_leaves };
    case 'stale-epoch':
      return { outcome: row.o_outcome, generation: row.o_generation, epoch: row.o_epoch };
    case 'template-refused':
      return { outcome: row.o_outcome, reason: row.o_reason };
    case 'pair-rate':
      return { outcome: row.o_outcome, retryAfterMs: row.o_retry_after_ms };
    default:
      return { outcome: row.o_outcome };
  }
}

/** One transaction for the whole batch; the answers stand in the order of the batch. */
export async function acceptBatch(
  queries: Queryable,
  batch: readonly Submission[],
): Promise<Decision[]> {
  const { rows } = await queries.queryNamed<Row>('accept-batch', statement, parametersOf(batch));
  return rows.sort((a, b) => a.o_message - b.o_message).map(decisionOf);
}

export type Acceptor = Pick<Batcher<Submission, Decision>, 'submit' | 'close'>;

/** `accepted` is told which conversations have something new in their log, after it is durable. */
export function createAcceptor(ports: {
  readonly database: Database;
  readonly accepted: (conversationIds: readonly ConversationId[]) => void;
  readonly batchMax?: number;
}): Acceptor {
  return createBatcher<Submission, Decision>({
    maxBatch: ports.batchMax ?? 64,
    maxQueued: 4096,
    flush: async (batch) => {
      const decisions = await retryConflicts(() => acceptBatch(ports.database, batch));
      const touched = batch.flatMap((one, index) =>
        decisions[index]?.outcome === 'accepted' ? [one.conversationId] : [],
      );
      if (touched.length > 0) ports.accepted(touched);
      return decisions;
    },
  });
}
