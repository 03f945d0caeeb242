// Reading and replacing a signed device list (D1–D5). The relay hands out exactly the text that was signed.

import { type AccountId, bucketOf, type ConversationId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { getDeviceList, updateDeviceList } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import { isMember, readConversations } from '../conversations/read-conversations.ts';
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

/**
 * Whether two accounts are members of one conversation now (D5). The notes only say where to look: who has left, or was
 * noted for a commit that never came, is no member. Each statement stays in one bucket.
 */
async function share({ database, one, other }: Pair): Promise<boolean> {
  const { rows } = await database.query<{ conversation_id: ConversationId }>(
    `SELECT conversation_id FROM account_conversations
     WHERE bucket = $1 AND account_id = $2 LIMIT ${conversationsMax}`,
    [bucketOf(one), one],
  );
  if (rows.length === 0) return false;
  const both = await database.query<{ conversation_id: ConversationId }>(
    `SELECT conversation_id FROM account_conversations
     WHERE bucket = $1 AND account_id = $2 AND conversation_id = ANY($3)`,
    [bucketOf(other), other, rows.map((row) => row.conversation_id)],
  );
  const noted = both.rows.map((row) => row.conversation_id);
  for (let from = 0; from < noted.length; from += limits.pageSizeMax) {
    const page = await readConversations(database, noted.slice(from, from + limits.pageSizeMax));
    const shared = page.some(
      (found) => found.founded && isMember(found, one) && isMember(found, other),
    );
    if (shared) return true;
  }
  return false;
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
