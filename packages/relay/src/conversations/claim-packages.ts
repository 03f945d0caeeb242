// Hands out key packages to whoever has passed the rules (K4). Claims are counted per claimer and per pair; an account that
// is claimed from too often gives its last-resort packages instead, so that nobody can be emptied.

import type { Database } from '@siegel/database';
import { type AccountId, bucketOf, type DeviceId } from '@siegel/protocol/ids';
import type { DeviceAddress, MemberKeys } from '@siegel/protocol/relay';
import type { DeviceCaller } from '../http/route.ts';
import { type Spent, spendQuota } from '../quotas.ts';
import type { Accounts } from './read-conversations.ts';

export type ClaimPorts = {
  readonly database: Database;
  readonly now: () => number;
  /** A claim left the device so many one-time packages (K3). */
  readonly keyPackagesLeft: (device: DeviceAddress, left: number) => void;
};

const hour = 3600;
export const claimLimits = {
  /** Accounts claimed from an hour, by one claimer. */
  byClaimerPerHour: { person: 300, business: 60_000 },
  /** Claims an hour by one account from one other. */
  byPairPerHour: 20,
  /** One-time packages an hour from one account, whoever asks; beyond it the last-resort one is given. */
  oneTimePerHour: 120,
} as const;

type Claim = {
  /** Whose devices; those of the claimer itself are free. */
  readonly accounts: readonly AccountId[];
  /** Devices of the claimer's account that need none. */
  readonly skipDevices: readonly DeviceId[];
  readonly facts: Accounts;
};

type Claimed =
  | { readonly outcome: 'claimed'; readonly members: MemberKeys[] }
  | { readonly outcome: 'rate-limited'; readonly retryAfterSeconds: number };

type Row = {
  o_account: AccountId;
  o_device: DeviceId;
  o_key_package: Buffer;
  o_last_resort: boolean;
  o_left: number;
};

const statement = `
  SELECT * FROM claim_key_packages($1::int[], $2::uuid[], $3::boolean[], $4::uuid, $5::smallint[], $6::bigint)`;

async function spendClaims(
  ports: ClaimPorts,
  caller: DeviceCaller,
  others: readonly AccountId[],
): Promise<Spent> {
  const spending = { windowSeconds: hour, now: ports.now() };
  if (others.length === 0) return { spent: true };
  const byClaimer = await spendQuota(ports.database, {
    ...spending,
    owner: caller.accountId,
    quota: 'claims',
    amount: others.length,
    max: claimLimits.byClaimerPerHour[caller.account],
  });
  if (!byClaimer.spent) return byClaimer;
  for (const owner of others) {
    const byPair = await spendQuota(ports.database, {
      ...spending,
      owner,
      quota: `claims/${caller.accountId}`,
      amount: 1,
      max: claimLimits.byPairPerHour,
    });
    if (!byPair.spent) return byPair;
  }
  return { spent: true };
}

export async function claimPackages(
  ports: ClaimPorts,
  caller: DeviceCaller,
  claim: Claim,
): Promise<Claimed> {
  const others = claim.accounts.filter((id) => id !== caller.accountId);
  const allowed = await spendClaims(ports, caller, others);
  if (!allowed.spent) {
    return { outcome: 'rate-limited', retryAfterSeconds: allowed.retryAfterSeconds };
  }
  const oneTime: boolean[] = [];
  for (const owner of claim.accounts) {
    const spent =
      owner === caller.accountId ||
      (
        await spendQuota(ports.database, {
          owner,
          quota: 'claimed',
          amount: 1,
          max: claimLimits.oneTimePerHour,
          windowSeconds: hour,
          now: ports.now(),
        })
      ).spent;
    oneTime.push(spent);
  }
  const { rows } = await ports.database.queryNamed<Row>('claim-key-packages', statement, [
    claim.accounts.map(bucketOf),
    claim.accounts,
    oneTime,
    caller.accountId,
    claim.skipDevices,
    ports.now(),
  ]);
  for (const { o_account: accountId, o_device: deviceId, o_left: left } of rows) {
    ports.keyPackagesLeft({ accountId, deviceId }, left);
  }
  return { outcome: 'claimed', members: membersOf(claim, rows) };
}

function membersOf(claim: Claim, rows: readonly Row[]): MemberKeys[] {
  return claim.accounts.flatMap((accountId) => {
    const deviceList = claim.facts.get(accountId)?.deviceList;
    if (deviceList === null || deviceList === undefined) return [];
    const keyPackages = rows
      .filter((row) => row.o_account === accountId)
      .map((row) => ({
        deviceId: row.o_device,
        keyPackage: row.o_key_package.toString('base64url'),
        lastResort: row.o_last_resort,
      }));
    return [{ accountId, deviceList, keyPackages }];
  });
}
