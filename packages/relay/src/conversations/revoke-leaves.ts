// After a revocation the leaves of the device stand as revoked in every conversation of its account, so that no message is
// accepted there until a commit has removed them (rule D4).

import { type Database, retryConflicts } from '@siegel/database';
import { type AccountId, bucketOf, type ConversationId, type DeviceId } from '@siegel/protocol/ids';
import { conversationIdsOf } from './contacts.ts';

const statement = 'SELECT revoke_leaves($1::int[], $2::uuid[], $3::uuid, $4::smallint[])';

export async function revokeLeavesIn(
  database: Database,
  conversationIds: readonly ConversationId[],
  revoked: { readonly accountId: AccountId; readonly deviceIds: readonly DeviceId[] },
): Promise<void> {
  await retryConflicts(() =>
    database.queryNamed('revoke-leaves', statement, [
      conversationIds.map(bucketOf),
      conversationIds,
      revoked.accountId,
      revoked.deviceIds,
    ]),
  );
}

/** Idempotent. */
export async function revokeLeaves(
  database: Database,
  accountId: AccountId,
  deviceIds: readonly DeviceId[],
): Promise<void> {
  if (deviceIds.length === 0) return;
  for await (const ids of conversationIdsOf(database, accountId)) {
    await revokeLeavesIn(database, ids, { accountId, deviceIds });
  }
}
