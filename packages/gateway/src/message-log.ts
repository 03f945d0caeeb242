// What became of each message: wamid ↔ client id ↔ message id, and its status. Content is not kept here.

import type { MessageStatus } from '@siegel/client';
import type { Queryable } from '@siegel/database';
import type { ClientId, ConversationId, MessageId, NumericId } from '@siegel/protocol/ids';
import { incomingWamid, incomingWamidByContent } from './wamid.ts';

export type LogEntry = {
  readonly wamid: string;
  readonly direction: 'in' | 'out';
  readonly phoneNumberId: NumericId;
  readonly userId: string;
  readonly conversationId?: ConversationId;
  readonly clientId: ClientId;
  readonly messageId?: MessageId;
  readonly type: string;
  readonly templateId?: string;
  readonly category?: string;
  readonly callbackData?: string;
  readonly status: MessageStatus | 'received';
};

type Row = {
  wamid: string;
  direction: 'in' | 'out';
  phone_number_id: NumericId;
  user_id: string;
  conversation_id: ConversationId | null;
  client_id: ClientId;
  message_id: MessageId | null;
  type: string;
  template_id: string | null;
  category: string | null;
  callback_data: string | null;
  status: LogEntry['status'];
};

const columns = `wamid, direction, phone_number_id, user_id, conversation_id, client_id, message_id,
  type, template_id, category, callback_data, status`;

const entryOf = (row: Row): LogEntry => ({
  wamid: row.wamid,
  direction: row.direction,
  phoneNumberId: row.phone_number_id,
  userId: row.user_id,
  clientId: row.client_id,
  type: row.type,
  status: row.status,
  ...(row.conversation_id === null ? {} : { conversationId: row.conversation_id }),
  ...(row.message_id === null ? {} : { messageId: row.message_id }),
  ...(row.template_id === null ? {} : { templateId: row.template_id }),
  ...(row.category === null ? {} : { category: row.category }),
  ...(row.callback_data === null ? {} : { callbackData: row.callback_data }),
});

/** False when the wamid is in the log already. */
export async function logMessage(
  database: Queryable,
  entry: LogEntry,
  now: number,
): Promise<boolean> {
  const { count } = await database.queryNamed(
    'log-message',
    `INSERT INTO messages (${columns}, created_at, status_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)
     ON CONFLICT (wamid) DO NOTHING`,
    [
      entry.wamid,
      entry.direction,
      entry.phoneNumberId,
      entry.userId,
      entry.conversationId ?? null,
      entry.clientId,
      entry.messageId ?? null,
      entry.type,
      entry.templateId ?? null,
      entry.category ?? null,
      entry.callbackData ?? null,
      entry.status,
      now,
    ],
  );
  return count === 1;
}

export async function messageByWamid(
  database: Queryable,
  wamid: string,
): Promise<LogEntry | undefined> {
  const { rows } = await database.queryNamed<Row>(
    'message-by-wamid',
    `SELECT ${columns} FROM messages WHERE wamid = $1`,
    [wamid],
  );
  return rows[0] && entryOf(rows[0]);
}

export async function messageById(
  database: Queryable,
  messageId: MessageId,
): Promise<LogEntry | undefined> {
  const { rows } = await database.queryNamed<Row>(
    'message-by-id',
    `SELECT ${columns} FROM messages WHERE message_id = $1`,
    [messageId],
  );
  return rows[0] && entryOf(rows[0]);
}

/**
 * Logs a person's message and answers its wamid; undefined when it is there already. A client id that somebody used
 * before does not hide the message: it is then named by its content.
 */
export async function logIncoming(
  database: Queryable,
  entry: Omit<LogEntry, 'wamid' | 'direction' | 'status'> & { readonly messageId: MessageId },
  now: number,
): Promise<string | undefined> {
  const known = await messageById(database, entry.messageId);
  if (known !== undefined) return undefined;
  for (const wamid of [incomingWamid(entry.clientId), incomingWamidByContent(entry.messageId)]) {
    const row: LogEntry = { ...entry, wamid, direction: 'in', status: 'received' };
    if (await logMessage(database, row, now)) return wamid;
  }
  return undefined;
}

/** Which statuses a news may follow, as in the account's own reducer: forward only, and a receipt outranks a failure. */
const follows: Record<MessageStatus, readonly MessageStatus[]> = {
  pending: [],
  sent: ['pending'],
  delivered: ['pending', 'sent', 'failed'],
  read: ['pending', 'sent', 'delivered', 'failed'],
  played: ['pending', 'sent', 'delivered', 'read', 'failed'],
  failed: ['pending', 'sent'],
};

/** Notes a status of an own message; false when it is no news. */
export async function logStatus(
  database: Queryable,
  update: {
    wamid: string;
    status: MessageStatus;
    failure?: string | undefined;
    conversationId?: ConversationId | undefined;
    messageId?: MessageId | undefined;
    at: number;
  },
): Promise<boolean> {
  const ids =
    'conversation_id = COALESCE($4, conversation_id), message_id = COALESCE($5, message_id)';
  const { count } = await database.queryNamed(
    'log-status',
    `UPDATE messages SET status = $2, failure = $3, ${ids}, status_at = $6
     WHERE wamid = $1 AND direction = 'out' AND status = ANY($7)`,
    [
      update.wamid,
      update.status,
      update.failure ?? null,
      update.conversationId ?? null,
      update.messageId ?? null,
      update.at,
      follows[update.status],
    ],
  );
  return count === 1;
}
