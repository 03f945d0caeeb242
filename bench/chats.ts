// Founded business chats straight in the relay's tables, without keys: the relay never looks inside
// what it orders and stores.

import { randomBytes, randomUUID } from 'node:crypto';
import type { Database } from '@siegel/database';
import { AccountId, bucketOf, ConversationId, DeviceId, uuidInBucket } from '@siegel/protocol/ids';

export type Chat = {
  readonly conversationId: ConversationId;
  readonly person: AccountId;
  readonly firm: AccountId;
};

const firmCount = 20;
const windowMs = 24 * 3_600_000;
export const firstDevice = DeviceId.parse(1);

/** Every person has so many devices, every firm one; whoever writes, as many devices receive. */
export async function insertChats(
  database: Database,
  {
    count,
    devices,
    now,
  }: { readonly count: number; readonly devices: number; readonly now: number },
): Promise<Chat[]> {
  const firms = Array.from({ length: firmCount }, () => AccountId.parse(randomUUID()));
  const chats = Array.from({ length: count }, (_, index): Chat => {
    const person = AccountId.parse(randomUUID());
    const id = uuidInBucket(bucketOf(person), randomBytes(16));
    return { conversationId: ConversationId.parse(id), person, firm: firms[index % firmCount]! };
  });
  const rows = chats.map((chat) => ({
    conversation: chat.conversationId,
    person: chat.person,
    firm: chat.firm,
    bucket: bucketOf(chat.conversationId),
  }));
  const from = `FROM json_to_recordset($1)
    AS c (conversation uuid, person uuid, firm uuid, bucket int)`;
  const parameter = JSON.stringify(rows);
  await database.query(
    `INSERT INTO conversations (bucket, conversation_id, kind, person_id, business_id,
       phone_number_id, founded, epoch, oldest_open_epoch, group_info, window_until, created_at)
     SELECT bucket, conversation, 'business', person, firm, 1, true, 1, 1, $2, $3, 0 ${from}`,
    [parameter, randomBytes(1500), now + windowMs],
  );
  for (const [side, kind, count] of [
    ['person', 'person', devices],
    ['firm', 'business', 1],
  ] as const) {
    await database.query(
      `INSERT INTO members SELECT bucket, conversation, ${side}, '${kind}', 'member' ${from}`,
      [parameter],
    );
    await database.query(
      `INSERT INTO leaves (bucket, conversation_id, account_id, device_id, leaf_index, since_epoch)
       SELECT bucket, conversation, ${side}, d, d + ${kind === 'person' ? 1 : 0}, 1
       ${from}, generate_series(1, ${count}) d`,
      [parameter],
    );
  }
  await insertDevices(
    database,
    chats.map(({ person }) => person),
    devices,
  );
  await insertDevices(database, firms, 1);
  await database.query('ANALYZE');
  return chats;
}

async function insertDevices(
  database: Database,
  accounts: readonly AccountId[],
  devices: number,
): Promise<void> {
  await database.query(
    `INSERT INTO devices (bucket, account_id, device_id, leaf_key, role, token_hash, created_at)
     SELECT bucket, account, d, '', 'main', sha256(account::text::bytea || d::text::bytea), 0
     FROM unnest($1::int[], $2::uuid[]) AS a (bucket, account), generate_series(1, $3::int) d`,
    [accounts.map(bucketOf), accounts, devices],
  );
}
