// Writes an allowed commit: roster, members, GroupInfo, epoch and log row, all in the bucket of the conversation (rule C7).

import type { Queryable } from '@siegel/database';
import { bucketOf } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type {
  DeliveredCommit,
  DeliveredWelcome,
  DeviceAddress,
  RequestOf,
  RosterLeaf,
  submitCommit,
} from '@siegel/protocol/relay';
import type { NewRoster } from './check-roster.ts';
import { isSameDevice, type StoredConversation } from './read-conversations.ts';

export type CommitRequest = RequestOf<typeof submitCommit>;

export type AllowedCommit = {
  readonly conversation: StoredConversation;
  readonly committer: DeviceAddress;
  readonly request: CommitRequest;
  readonly roster: NewRoster;
  readonly sequence: number;
  readonly oldestOpenEpoch: number;
  readonly acceptedAt: number;
};

const retentionMs = limits.mailboxRetentionDays * 86_400_000;

const advanceStatement = `
  UPDATE conversations SET founded = true, generation = $3, epoch = $4, oldest_open_epoch = $5,
    group_info = $6, next_sequence = $7
  WHERE bucket = $1 AND conversation_id = $2`;
const dropStatement = `
  DELETE FROM leaves WHERE bucket = $1 AND conversation_id = $2 AND (account_id, device_id) IN (
    SELECT account_id, device_id FROM unnest($3::uuid[], $4::smallint[]) AS t (account_id, device_id))`;
const addStatement = `
  INSERT INTO leaves (bucket, conversation_id, account_id, device_id, leaf_index, since_epoch)
  SELECT $1, $2, account_id, device_id, leaf_index, $6
  FROM unnest($3::uuid[], $4::smallint[], $5::int[]) AS t (account_id, device_id, leaf_index)`;
const joinStatement = `
  INSERT INTO members (bucket, conversation_id, account_id, kind, role)
  SELECT $1, $2, account_id, 'person', 'member' FROM unnest($3::uuid[]) AS t (account_id)`;
const leaveStatement = `
  DELETE FROM members WHERE bucket = $1 AND conversation_id = $2 AND account_id = ANY ($3::uuid[])`;
const logStatement = `
  INSERT INTO log (bucket, conversation_id, sequence, sender_account, sender_device, client_id,
    accepted_at, expires_at, item, recipient_accounts, recipient_devices, welcome_item,
    welcome_accounts, welcome_devices, copied, epoch_after)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::uuid[], $11::smallint[], $12, $13::uuid[],
    $14::smallint[], $15, $16)`;

export async function storeCommit(queries: Queryable, commit: AllowedCommit) {
  const { conversation, request, roster, sequence, acceptedAt } = commit;
  const { conversationId } = conversation;
  const place = [bucketOf(conversationId), conversationId];
  const epoch = request.form === 'founding' ? 1 : request.epoch + 1;
  await queries.queryNamed('advance-conversation', advanceStatement, [
    ...place,
    request.generation,
    epoch,
    oldestOpenEpoch(commit, epoch),
    Buffer.from(request.groupInfo, 'base64url'),
    sequence + 1,
  ]);
  if (roster.dropped.length > 0) {
    await queries.queryNamed('drop-leaves', dropStatement, [...place, ...columns(roster.dropped)]);
  }
  if (roster.added.length > 0) {
    const indexes = roster.added.map(({ leafIndex }) => leafIndex);
    const values = [...place, ...columns(roster.added), indexes, epoch];
    await queries.queryNamed('add-leaves', addStatement, values);
  }
  if (roster.joining.length > 0) {
    await queries.queryNamed('add-members', joinStatement, [...place, roster.joining]);
  }
  if (roster.leaving.length > 0) {
    await queries.queryNamed('drop-members', leaveStatement, [...place, roster.leaving]);
  }
  await queries.queryNamed('log-commit', logStatement, logRow(commit, epoch));
  return { outcome: 'accepted' as const, sequence, epoch, acceptedAt };
}

/** A removal and a founding close every epoch before (C7); else the last few stay open. */
function oldestOpenEpoch({ request, roster, ...commit }: AllowedCommit, epoch: number): number {
  if (request.form === 'founding' || roster.dropped.length > 0) return epoch;
  return Math.max(commit.oldestOpenEpoch, epoch - limits.openEpochs + 1);
}

const columns = (devices: readonly DeviceAddress[]) => [
  devices.map(({ accountId }) => accountId),
  devices.map(({ deviceId }) => deviceId),
];

/**
 * The commit goes to the leaves that stay, and to those removed whose device is still on its account's list, so that it
 * learns; a leaf replaced by another of the same device gets the Welcome instead. A founding commit's new leaves all get
 * the Welcome.
 */
function recipientsOf({ committer, roster }: AllowedCommit) {
  const isOther = (device: DeviceAddress) => !isSameDevice(device, committer);
  const isAdded = (device: DeviceAddress) =>
    roster.added.some((leaf) => isSameDevice(leaf, device));
  return {
    committed: [...roster.kept, ...roster.dropped.filter((leaf) => !leaf.revoked)]
      .filter(isOther)
      .filter((leaf) => !isAdded(leaf)),
    welcomed: roster.added.filter(isOther),
  };
}

function logRow(commit: AllowedCommit, epoch: number): unknown[] {
  const { conversation, committer, request, sequence, acceptedAt } = commit;
  const { conversationId } = conversation;
  const { committed, welcomed } = recipientsOf(commit);
  const items = itemsOf(commit);
  return [
    bucketOf(conversationId),
    conversationId,
    sequence,
    committer.accountId,
    committer.deviceId,
    request.clientId,
    acceptedAt,
    acceptedAt + retentionMs,
    committed.length > 0 ? items.commit : null,
    ...columns(committed),
    welcomed.length > 0 ? items.welcome : null,
    ...columns(welcomed),
    committed.length + welcomed.length === 0,
    epoch,
  ];
}

const plainLeaf = ({ leafIndex, accountId, deviceId }: RosterLeaf): RosterLeaf => ({
  leafIndex,
  accountId,
  deviceId,
});

/** Delivered JSON without position and sequence; delivery writes those in front. */
function itemsOf({ committer, request, acceptedAt }: AllowedCommit) {
  const placed = {
    conversationId: request.conversationId,
    generation: request.generation,
    epoch: request.epoch,
    sender: committer,
    clientId: request.clientId,
    acceptedAt,
  };
  const commit: Omit<DeliveredCommit, 'position' | 'sequence'> = {
    type: 'commit',
    ...placed,
    form: request.form,
    mls: request.commit,
    added: request.added.map(plainLeaf),
    removed: request.removed.map(plainLeaf),
  };
  const welcome: Omit<DeliveredWelcome, 'position' | 'sequence'> = {
    type: 'welcome',
    ...placed,
    mls: request.welcome ?? '',
  };
  return { commit: JSON.stringify(commit), welcome: JSON.stringify(welcome) };
}
