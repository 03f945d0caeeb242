// Carries accepted items from the log of their conversation into the mailboxes of its devices, which lie in other buckets.
// Everything uncopied of a conversation goes at once and in order; a mailbox remembers how far it is, so repeating is harmless.

import { type Database, type Queryable, retryConflicts } from '@siegel/database';
import { type AccountId, bucketOf, type ConversationId, type DeviceId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { DeviceAddress } from '@siegel/protocol/relay';
import type { Wakeups } from './wakeups.ts';

export type CopierPorts = {
  readonly database: Database;
  readonly now: () => number;
  readonly wakeups: Pick<Wakeups, 'publish'>;
  /** True only when this device has no socket anywhere: what lives seconds is not kept for it (M7). */
  readonly isAbsent: (device: DeviceAddress) => boolean;
  readonly failed: (failure: unknown) => void;
  readonly settings?: { readonly retryMs?: number };
};

export type MailboxCopier = {
  /** These conversations have something new in their log. Returns at once. */
  readonly touch: (conversationIds: readonly ConversationId[]) => void;
  /** Touches every conversation with rows accepted before this time and not copied; returns how many. */
  readonly recover: (acceptedBefore: number) => Promise<number>;
  /** Resolves when nothing touched so far is uncopied, or could not be copied. */
  readonly settled: () => Promise<void>;
  /** Finishes what is under way. Idempotent. */
  readonly close: () => Promise<void>;
};

type LogRow = {
  o_bucket: number;
  o_conversation: ConversationId;
  o_sequence: number;
  o_accepted_at: number;
  o_expires_at: number;
  o_item: string | null;
  o_accounts: AccountId[];
  o_devices: DeviceId[];
  o_welcome_item: string | null;
  o_welcome_accounts: AccountId[];
  o_welcome_devices: DeviceId[];
  o_metered_for: AccountId | null;
};

/** One item for one mailbox. `itemNumber` counts from 1 in the items of the batch. */
type Entry = {
  readonly to: DeviceAddress;
  readonly conversationId: ConversationId;
  readonly sequence: number;
  readonly expiresAt: number;
  readonly metered: boolean;
  readonly itemNumber: number;
};

const conversationsAtOnce = 64;
/** Of one conversation. */
const rowsAtOnce = 64;
const bytesAtOnce = 1024 * 1024;
const attemptsMax = 5;
const ephemeralMs = limits.typingSecondsMax * 1000;

const readUncopied = 'SELECT * FROM read_uncopied($1::int[], $2::uuid[], $3::int, $4::bigint)';
const copyBatch = `
  SELECT * FROM copy_batch($1::int[], $2::uuid[], $3::smallint[], $4::uuid[], $5::bigint[], $6::bigint[],
    $7::boolean[], $8::int[], $9::text[], $10::bigint, $11::bigint)`;
const finishCopy = 'SELECT finish_copy($1::int[], $2::uuid[], $3::bigint[])';
const findUncopied = `
  SELECT DISTINCT conversation_id FROM log WHERE NOT copied AND accepted_at < $1 LIMIT $2`;

/** The entries of these log rows and the items they point at. */
function entriesOf(
  rows: readonly LogRow[],
  ports: Pick<CopierPorts, 'now' | 'isAbsent'>,
): { entries: Entry[]; items: string[] } {
  const entries: Entry[] = [];
  const items: string[] = [];
  const now = ports.now();
  const add = (row: LogRow, item: string | null, accounts: AccountId[], devices: DeviceId[]) => {
    if (item === null || accounts.length === 0 || row.o_expires_at <= now) return;
    items.push(item);
    const ephemeral = row.o_expires_at - row.o_accepted_at <= ephemeralMs;
    for (const [index, accountId] of accounts.entries()) {
      const to = { accountId, deviceId: devices[index]! };
      if (ephemeral && ports.isAbsent(to)) continue;
      entries.push({
        to,
        conversationId: row.o_conversation,
        sequence: row.o_sequence,
        expiresAt: row.o_expires_at,
        metered: row.o_metered_for === accountId,
        itemNumber: items.length,
      });
    }
  };
  for (const row of rows) {
    add(row, row.o_item, row.o_accounts, row.o_devices);
    add(row, row.o_welcome_item, row.o_welcome_accounts, row.o_welcome_devices);
  }
  return { entries, items };
}

type GrownMailbox = { o_account: AccountId; o_device: DeviceId };

async function writeEntries(
  queries: Queryable,
  { entries, items }: { entries: readonly Entry[]; items: readonly string[] },
): Promise<GrownMailbox[]> {
  if (entries.length === 0) return [];
  const { rows } = await queries.queryNamed<GrownMailbox>('copy-batch', copyBatch, [
    entries.map(({ to }) => bucketOf(to.accountId)),
    entries.map(({ to }) => to.accountId),
    entries.map(({ to }) => to.deviceId),
    entries.map(({ conversationId }) => conversationId),
    entries.map(({ sequence }) => sequence),
    entries.map(({ expiresAt }) => expiresAt),
    entries.map(({ metered }) => metered),
    entries.map(({ itemNumber }) => itemNumber),
    items,
    limits.mailboxItemsMax,
    limits.mailboxBytesMax,
  ]);
  return rows;
}

/** The furthest sequence of each conversation that is in the mailboxes now. */
async function markCopied(queries: Queryable, rows: readonly LogRow[]): Promise<void> {
  const furthest = new Map(rows.map((row) => [row.o_conversation, row.o_sequence]));
  await queries.queryNamed('finish-copy', finishCopy, [
    [...furthest.keys()].map(bucketOf),
    [...furthest.keys()],
    [...furthest.values()],
  ]);
}

const bytesOf = ({ o_item: item, o_welcome_item: welcome }: LogRow): number =>
  (item?.length ?? 0) + (welcome?.length ?? 0);

/** Copies what these conversations have; names those of which more may be left. */
export async function copyConversations(
  ports: Pick<CopierPorts, 'database' | 'now' | 'wakeups' | 'isAbsent'>,
  conversationIds: readonly ConversationId[],
): Promise<ConversationId[]> {
  const { rows } = await ports.database.queryNamed<LogRow>('read-uncopied', readUncopied, [
    conversationIds.map(bucketOf),
    conversationIds,
    rowsAtOnce,
    bytesAtOnce,
  ]);
  if (rows.length === 0) return [];
  const copy = entriesOf(rows, ports);
  const grown = await retryConflicts(() => writeEntries(ports.database, copy));
  for (const { o_account: accountId, o_device: deviceId } of grown) {
    ports.wakeups.publish({ kind: 'items', accountId, deviceId });
  }
  await retryConflicts(() => markCopied(ports.database, rows));
  return conversationIds.filter((id) => {
    const own = rows.filter((row) => row.o_conversation === id);
    const bytes = own.reduce((sum, row) => sum + bytesOf(row), 0);
    return own.length === rowsAtOnce || bytes >= bytesAtOnce;
  });
}

export function createMailboxCopier(ports: CopierPorts): MailboxCopier {
  const touched = new Set<ConversationId>();
  const retryMs = ports.settings?.retryMs ?? 200;
  let running: Promise<void> | undefined;
  let closed = false;

  async function run(): Promise<void> {
    let failures = 0;
    while (touched.size > 0) {
      const batch = [...touched].slice(0, conversationsAtOnce);
      for (const id of batch) touched.delete(id);
      try {
        const more = await copyConversations(ports, batch);
        for (const id of more) touched.add(id);
        failures = 0;
      } catch (failure) {
        failures += 1;
        ports.failed(failure);
        // Given up, they wait for the recovery sweep: nothing is lost, only late.
        if (closed || failures >= attemptsMax) continue;
        for (const id of batch) touched.add(id);
        await new Promise((resolve) => setTimeout(resolve, retryMs * failures));
      }
    }
  }

  const touch = (conversationIds: readonly ConversationId[]) => {
    for (const id of conversationIds) touched.add(id);
    if (touched.size > 0) running ??= run().finally(again);
  };
  // What was touched while the last run was ending.
  const again = () => {
    running = undefined;
    touch([]);
  };

  const settled = async (): Promise<void> => {
    if (running === undefined) return;
    await running;
    await settled();
  };

  return {
    touch,
    settled,
    recover: async (acceptedBefore) => {
      const { rows } = await ports.database.query<{ conversation_id: ConversationId }>(
        findUncopied,
        [acceptedBefore, conversationsAtOnce * 16],
      );
      if (rows.length > 0) touch(rows.map(({ conversation_id }) => conversation_id));
      return rows.length;
    },
    close: () => {
      closed = true;
      return settled();
    },
  };
}
