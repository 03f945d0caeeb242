// Conversations and accounts as the store has them, and what a member is shown of them (rule C4).

import type { Queryable } from '@siegel/database';
import {
  type AccountId,
  bucketOf,
  type ConversationId,
  type DeviceId,
  NumericId,
} from '@siegel/protocol/ids';
import type {
  ConversationKind,
  ConversationState,
  DeviceAddress,
  RosterLeaf,
} from '@siegel/protocol/relay';

export type Member = {
  readonly accountId: AccountId;
  readonly kind: 'person' | 'business';
  readonly role: 'member' | 'admin';
};

export type StoredLeaf = RosterLeaf & { readonly sinceEpoch: number; readonly revoked: boolean };

export type StoredConversation = {
  readonly conversationId: ConversationId;
  readonly kind: ConversationKind;
  readonly phoneNumberId: number | null;
  readonly founded: boolean;
  readonly generation: number;
  readonly epoch: number;
  readonly windowUntil: number;
  readonly members: readonly Member[];
  readonly leaves: readonly StoredLeaf[];
};

/** What is known of an account; `kind` is null when there is no such account. */
export type AccountFacts = {
  readonly accountId: AccountId;
  readonly kind: 'person' | 'business' | null;
  readonly deviceList: string | null;
  readonly deviceListVersion: number;
  /** on the current list, unrevoked */
  readonly devices: readonly DeviceId[];
  /** those of them that have a key package */
  readonly reachable: readonly DeviceId[];
  /** this account has blocked the other one of the question */
  readonly blocksOther: boolean;
};

type ConversationRow = {
  o_conversation: ConversationId;
  o_kind: ConversationKind;
  o_phone_number_id: number | null;
  o_founded: boolean;
  o_generation: number;
  o_epoch: number;
  o_window_until: number;
  o_members: Member[];
  o_leaves: StoredLeaf[];
};

/** In the order asked for; those that do not exist are left out. */
export async function readConversations(
  queries: Queryable,
  conversationIds: readonly ConversationId[],
): Promise<StoredConversation[]> {
  if (conversationIds.length === 0) return [];
  const { rows } = await queries.queryNamed<ConversationRow>(
    'read-conversations',
    'SELECT * FROM read_conversations($1::int[], $2::uuid[])',
    [conversationIds.map(bucketOf), conversationIds],
  );
  return rows.map((row) => ({
    conversationId: row.o_conversation,
    kind: row.o_kind,
    phoneNumberId: row.o_phone_number_id,
    founded: row.o_founded,
    generation: row.o_generation,
    epoch: row.o_epoch,
    windowUntil: row.o_window_until,
    members: row.o_members,
    leaves: row.o_leaves,
  }));
}

type AccountRow = {
  o_account: AccountId;
  o_kind: 'person' | 'business' | null;
  o_device_list: string | null;
  o_device_list_version: number | null;
  o_devices: DeviceId[];
  o_reachable: DeviceId[];
  o_blocks_other: boolean;
};

export type Accounts = ReadonlyMap<AccountId, AccountFacts>;

/** Facts of every account asked for, whether it exists or not: the work is the same (C3). */
export async function readAccounts(
  queries: Queryable,
  accountIds: readonly AccountId[],
  question: { readonly other: AccountId; readonly now: number },
): Promise<Accounts> {
  const ids = [...new Set(accountIds)];
  const { rows } = await queries.queryNamed<AccountRow>(
    'read-accounts',
    'SELECT * FROM read_accounts($1::int[], $2::uuid[], $3::uuid, $4::bigint)',
    [ids.map(bucketOf), ids, question.other, question.now],
  );
  return new Map(
    rows.map((row) => [
      row.o_account,
      {
        accountId: row.o_account,
        kind: row.o_kind,
        deviceList: row.o_device_list,
        deviceListVersion: row.o_device_list_version ?? 0,
        devices: row.o_devices,
        reachable: row.o_reachable,
        blocksOther: row.o_blocks_other,
      },
    ]),
  );
}

/** Whether the account has blocked any of these. */
export async function hasBlocked(
  queries: Queryable,
  blocker: AccountId,
  accountIds: readonly AccountId[],
): Promise<boolean> {
  const { rows } = await queries.queryNamed(
    'find-own-block',
    'SELECT 1 FROM blocks WHERE bucket = $1 AND blocker = $2 AND blocked = ANY ($3::uuid[]) LIMIT 1',
    [bucketOf(blocker), blocker, accountIds],
  );
  return rows.length > 0;
}

export const isMember = (conversation: StoredConversation, accountId: AccountId): boolean =>
  conversation.members.some((member) => member.accountId === accountId);

export const isSameDevice = (a: DeviceAddress, b: DeviceAddress): boolean =>
  a.accountId === b.accountId && a.deviceId === b.deviceId;

const rosterLeaf = ({ leafIndex, accountId, deviceId }: StoredLeaf): RosterLeaf => ({
  leafIndex,
  accountId,
  deviceId,
});

/** `accounts` holds the facts of every member. */
export function stateOf(conversation: StoredConversation, accounts: Accounts): ConversationState {
  const { conversationId, kind, phoneNumberId, generation, epoch, founded } = conversation;
  return {
    conversationId,
    kind,
    ...(phoneNumberId === null
      ? {}
      : {
          phoneNumberId: NumericId.parse(String(phoneNumberId)),
        }),
    generation,
    epoch,
    founded,
    members: conversation.members.map((member) => ({
      ...member,
      deviceListVersion: accounts.get(member.accountId)?.deviceListVersion ?? 0,
    })),
    roster: conversation.leaves.map(rosterLeaf),
    revoked: conversation.leaves.filter((leaf) => leaf.revoked).map(rosterLeaf),
  };
}
