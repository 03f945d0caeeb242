// Reads and acknowledges mailboxes, many devices in one statement (`read_mailboxes` and `ack_batch` in
// migrations/0002-hot-path.sql), and ends what has expired.

import { createBatcher, type Database, retryConflicts } from '@siegel/database';
import { type AccountId, bucketOf, type DeviceId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { DeviceAddress } from '@siegel/protocol/relay';

/** `item` is the JSON of a DeliveredItem without position and sequence. */
export type StoredItem = {
  readonly position: number;
  readonly sequence: number;
  readonly item: string;
};

/** What a socket must know to begin. */
export type MailboxFacts = {
  readonly acknowledgedPosition: number;
  readonly waiting: number;
  readonly keyPackagesLeft: number;
};

export type MailboxRead = {
  readonly device: DeviceAddress;
  readonly after: number;
  readonly items: number;
};
type Acknowledgement = { readonly device: DeviceAddress; readonly position: number };

export type MailboxStore = {
  readonly facts: (device: DeviceAddress) => Promise<MailboxFacts>;
  /** At most so many items after a position, in order; fewer when they are large, at least one if there is one. */
  readonly read: (read: MailboxRead) => Promise<StoredItem[]>;
  /** Items up to and including the position are gone for good when it resolves. */
  readonly acknowledge: (acknowledgement: Acknowledgement) => Promise<void>;
  readonly removeMailboxes: (accountId: AccountId, deviceIds: readonly DeviceId[]) => Promise<void>;
  /** Ends what has expired in one bucket: mailbox items, the memory of client ids, counters of past days. */
  readonly sweep: (bucket: number) => Promise<number>;
  /** Resolves when nothing is under way. */
  readonly close: () => Promise<void>;
};

const readBytesMax = 1024 * 1024;
const dayMs = 86_400_000;
const retentionMs = limits.mailboxRetentionDays * dayMs;

const readStatement = `
  SELECT * FROM read_mailboxes($1::int[], $2::uuid[], $3::smallint[], $4::bigint[], $5::int[], $6::bigint,
    $7::bigint)`;
const ackStatement =
  'SELECT ack_batch($1::int[], $2::uuid[], $3::smallint[], $4::bigint[], $5::bigint)';
const factsStatement = `
  SELECT
    coalesce((SELECT acknowledged_position FROM mailboxes
      WHERE bucket = $1 AND account_id = $2 AND device_id = $3), 0) AS acknowledged,
    (SELECT count(*) FROM mailbox_items
      WHERE bucket = $1 AND account_id = $2 AND device_id = $3 AND expires_at > $4) AS waiting,
    (SELECT count(*) FROM key_packages
      WHERE bucket = $1 AND account_id = $2 AND device_id = $3 AND NOT last_resort
        AND expires_at > $4) AS packages`;
const removeStatement = 'SELECT remove_mailboxes($1::int, $2::uuid, $3::smallint[])';
const sweepItems = 'DELETE FROM mailbox_items WHERE bucket = $1 AND expires_at <= $2';
/** What lives seconds is forgotten sooner: nobody sends it again a day later. */
const sweepLog = `
  DELETE FROM log WHERE bucket = $1 AND copied
    AND (accepted_at <= $2 OR (expires_at <= $3 AND expires_at - accepted_at <= $4))`;
const sweepQuotas = 'DELETE FROM quotas WHERE bucket = $1 AND window_start <= $2';

type ReadRow = { o_reader: number; o_position: number; o_sequence: number; o_item: string };

async function readMailboxes(
  database: Database,
  reads: readonly MailboxRead[],
  now: number,
): Promise<StoredItem[][]> {
  const { rows } = await database.queryNamed<ReadRow>('read-mailboxes', readStatement, [
    reads.map(({ device }) => bucketOf(device.accountId)),
    reads.map(({ device }) => device.accountId),
    reads.map(({ device }) => device.deviceId),
    reads.map(({ after }) => after),
    reads.map(({ items }) => items),
    readBytesMax,
    now,
  ]);
  const answers: StoredItem[][] = reads.map(() => []);
  for (const row of rows) {
    const { o_position: position, o_sequence: sequence, o_item: item } = row;
    answers[row.o_reader - 1]?.push({ position, sequence, item });
  }
  return answers;
}

async function acknowledgeAll(
  database: Database,
  batch: readonly Acknowledgement[],
  now: number,
): Promise<void[]> {
  await retryConflicts(() =>
    database.queryNamed('ack-batch', ackStatement, [
      batch.map(({ device }) => bucketOf(device.accountId)),
      batch.map(({ device }) => device.accountId),
      batch.map(({ device }) => device.deviceId),
      batch.map(({ position }) => position),
      now,
    ]),
  );
  return batch.map(() => undefined);
}

async function readFacts(
  database: Database,
  device: DeviceAddress,
  now: number,
): Promise<MailboxFacts> {
  const { rows } = await database.queryNamed<{
    acknowledged: number;
    waiting: number;
    packages: number;
  }>('mailbox-facts', factsStatement, [
    bucketOf(device.accountId),
    device.accountId,
    device.deviceId,
    now,
  ]);
  const { acknowledged = 0, waiting = 0, packages = 0 } = rows[0] ?? {};
  return { acknowledgedPosition: acknowledged, waiting, keyPackagesLeft: packages };
}

export function createMailboxStore(ports: {
  readonly database: Database;
  readonly now: () => number;
}): MailboxStore {
  const { database, now } = ports;
  const reads = createBatcher<MailboxRead, StoredItem[]>({
    maxBatch: 32,
    maxQueued: 65_536,
    flush: (batch) => readMailboxes(database, batch, now()),
  });
  const acknowledgements = createBatcher<Acknowledgement, void>({
    maxBatch: 64,
    maxQueued: 65_536,
    flush: (batch) => acknowledgeAll(database, batch, now()),
  });
  return {
    facts: (device) => readFacts(database, device, now()),
    read: (read) => reads.submit(read),
    acknowledge: (acknowledgement) => acknowledgements.submit(acknowledgement),
    removeMailboxes: async (accountId, deviceIds) => {
      await retryConflicts(() =>
        database.query(removeStatement, [bucketOf(accountId), accountId, deviceIds]),
      );
    },
    sweep: async (bucket) => {
      const items = await database.query(sweepItems, [bucket, now()]);
      const logTimes = [now() - retentionMs, now() - dayMs, limits.typingSecondsMax * 1000];
      const log = await database.query(sweepLog, [bucket, ...logTimes]);
      // No window is longer than a day.
      await database.query(sweepQuotas, [bucket, now() - 2 * dayMs]);
      return items.count + log.count;
    },
    close: async () => {
      await reads.drain();
      await acknowledgements.drain();
    },
  };
}
