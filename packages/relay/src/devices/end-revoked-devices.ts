// The second half of a revocation (D3, D4): what lies outside the account's bucket. It can be cut short by a crash, so it
// reads from the store what is still to be done, and is run again until nothing is.

import type { AccountId, DeviceId } from '@siegel/protocol/ids';
import type { BasePorts } from '../base-ports.ts';
import type { Events } from '../events.ts';
import { noteLeavesEnded, readHalfRevoked } from './device-store.ts';

export type RevocationPorts = Pick<BasePorts, 'database'> & {
  readonly events: Events;
  readonly invalidateTokens: (accountId: AccountId, deviceIds: readonly DeviceId[]) => void;
  readonly closeSockets: (accountId: AccountId, deviceIds: readonly DeviceId[]) => void;
  readonly revokeLeaves: (accountId: AccountId, deviceIds: readonly DeviceId[]) => Promise<void>;
};

/** Of one account right after its list changed, or of all accounts from time to time. */
export async function endRevokedDevices(
  ports: RevocationPorts,
  accountId?: AccountId,
): Promise<void> {
  const half = await readHalfRevoked(ports.database, accountId);
  // Tokens and sockets first: they end even when a conversation's bucket cannot be reached now.
  for (const { account_id: account, device_ids: deviceIds } of half) {
    ports.invalidateTokens(account, deviceIds);
    ports.closeSockets(account, deviceIds);
  }
  for (const { account_id: account, device_ids: deviceIds } of half) {
    await ports.revokeLeaves(account, deviceIds);
    await noteLeavesEnded(ports.database, account, deviceIds);
    ports.events.devicesRevoked(deviceIds.length);
  }
}
