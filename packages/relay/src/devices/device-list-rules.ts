// Reading and replacing a signed device list (D1–D5). The relay hands out exactly the text that was signed.

import { type AccountId, bucketOf } from '@siegel/protocol/ids';
import type { getDeviceList, updateDeviceList } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import type { Rule } from '../http/route.ts';
import { readAccount } from './device-store.ts';
import { publishDeviceList } from './publish-device-list.ts';

export type DeviceListPorts = BasePorts & {
  /** Tokens, sockets and leaves of devices no longer on the list. */
  readonly endRevokedDevices: (accountId: AccountId) => Promise<void>;
  /** Tells connected devices of the account and its contacts. */
  readonly devicesChanged: (accountId: AccountId) => void;
};

const conversationsMax = 20_000;

export const readDeviceList =
  ({ database }: DeviceListPorts): Rule<typeof getDeviceList> =>
  async (caller, { accountId }) => {
    const account = await readAccount(database, accountId);
    const isOwn = accountId === caller.accountId;
    if (!account?.device_list) return { outcome: 'unknown' };
    if (!isOwn) {
      // Asked from the person's side: a business may be in very many conversations.
      const isPersonAsking = caller.account === 'person';
      const one = isPersonAsking ? caller.accountId : accountId;
      const other = isPersonAsking ? accountId : caller.accountId;
      if (!(await share({ database, one, other }))) return { outcome: 'unknown' };
    }
    return { outcome: 'list', deviceList: account.device_list };
  };

type Pair = { database: BasePorts['database']; one: AccountId; other: AccountId };

/** Whether two accounts are in one conversation (D5): two statements, each in one bucket. */
async function share({ database, one, other }: Pair): Promise<boolean> {
  const { rows } = await database.query<{ conversation_id: string }>(
    `SELECT conversation_id FROM account_conversations
     WHERE bucket = $1 AND account_id = $2 LIMIT ${conversationsMax}`,
    [bucketOf(one), one],
  );
  if (rows.length === 0) return false;
  const both = await database.query(
    `SELECT 1 FROM account_conversations
     WHERE bucket = $1 AND account_id = $2 AND conversation_id = ANY($3) LIMIT 1`,
    [bucketOf(other), other, rows.map((row) => row.conversation_id)],
  );
  return both.rows.length > 0;
}

export const replaceDeviceList =
  (ports: DeviceListPorts): Rule<typeof updateDeviceList> =>
  async ({ accountId }, { deviceList }) => {
    const account = await readAccount(ports.database, accountId);
    const key = account?.account_key;
    if (!key) return { outcome: 'list-refused', reason: 'There is no account key yet.' };
    const published = await ports.database.transaction((transaction) =>
      publishDeviceList(transaction, {
        accountId,
        accountKey: key.toString('base64url'),
        signed: deviceList,
        now: ports.now(),
      }),
    );
    if (published.outcome !== 'published') return published;
    await ports.endRevokedDevices(accountId);
    ports.devicesChanged(accountId);
    return { outcome: 'updated', version: published.version };
  };
