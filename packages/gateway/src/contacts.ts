// People as the firm knows them: per-business user id, number if known, name if sent. A person first written to by number
// keeps one id when the account behind it becomes known.

import type { Queryable } from '@siegel/database';
import type { AccountId, ConversationId, NumericId, PhoneNumber } from '@siegel/protocol/ids';
import type { PersonInfo } from './inbound/to-webhook.ts';
import { userIdOf } from './user-id.ts';

export type ContactIds = { readonly secret: Uint8Array; readonly country: string };

export type Contact = {
  readonly userId: string;
  readonly accountId?: AccountId;
  readonly number?: PhoneNumber;
  readonly name?: string;
};

type Row = {
  user_id: string;
  account_id: AccountId | null;
  number: PhoneNumber | null;
  profile_name: string | null;
  merged_into: string | null;
};

const columns = 'user_id, account_id, number, profile_name, merged_into';

const contactOf = (row: Row): Contact => ({
  userId: row.user_id,
  ...(row.account_id === null ? {} : { accountId: row.account_id }),
  ...(row.number === null ? {} : { number: row.number }),
  ...(row.profile_name === null ? {} : { name: row.profile_name }),
});

export const personOf = (contact: Contact): PersonInfo => ({
  userId: contact.userId,
  ...(contact.number === undefined ? {} : { waId: contact.number.slice(1) }),
  ...(contact.name === undefined ? {} : { name: contact.name }),
});

async function rowWhere(
  database: Queryable,
  condition: 'user_id' | 'account_id' | 'number',
  value: string,
): Promise<Row | undefined> {
  const { rows } = await database.queryNamed<Row>(
    `contact-by-${condition}`,
    `SELECT ${columns} FROM contacts WHERE ${condition} = $1`,
    [value],
  );
  return rows[0];
}

/** Follows an id that was handed out before two entries turned out to be one person. */
export async function contactByUserId(
  database: Queryable,
  userId: string,
): Promise<Contact | undefined> {
  const row = await rowWhere(database, 'user_id', userId);
  if (row?.merged_into == null) return row && contactOf(row);
  const merged = await rowWhere(database, 'user_id', row.merged_into);
  return merged && contactOf(merged);
}

async function insert(
  database: Queryable,
  entry: { userId: string; accountId?: string; number?: string; now: number },
): Promise<void> {
  await database.query(
    `INSERT INTO contacts (user_id, account_id, number, created_at) VALUES ($1, $2, $3, $4)
     ON CONFLICT DO NOTHING`,
    [entry.userId, entry.accountId ?? null, entry.number ?? null, entry.now],
  );
}

/** Whom the firm writes to by number. */
export async function contactForNumber(
  database: Queryable,
  ids: ContactIds,
  number: PhoneNumber,
  now: number,
): Promise<Contact> {
  const known = await rowWhere(database, 'number', number);
  if (known !== undefined) return contactOf(known);
  await insert(database, { userId: userIdOf({ ...ids, subject: number }), number, now });
  const row = await rowWhere(database, 'number', number);
  if (row !== undefined) return contactOf(row);
  // The id is taken by an earlier holder of this number: a recycled number is a new person.
  const userId = userIdOf({ ...ids, subject: `${number}/${now}` });
  await insert(database, { userId, number, now });
  return { userId, number };
}

/** Whose account is known: found, or entered. */
export async function contactForAccount(
  database: Queryable,
  ids: ContactIds,
  accountId: AccountId,
  now: number,
): Promise<Contact> {
  const known = await rowWhere(database, 'account_id', accountId);
  if (known !== undefined) return contactOf(known);
  const userId = userIdOf({ ...ids, subject: accountId });
  await insert(database, { userId, accountId, now });
  return { userId, accountId };
}

async function merge(database: Queryable, from: Contact, into: Contact): Promise<void> {
  await database.query('UPDATE contacts SET merged_into = $2, number = NULL WHERE user_id = $1', [
    from.userId,
    into.userId,
  ]);
  await database.query('UPDATE messages SET user_id = $2 WHERE user_id = $1', [
    from.userId,
    into.userId,
  ]);
  await database.query('UPDATE chats SET user_id = $2 WHERE user_id = $1', [
    from.userId,
    into.userId,
  ]);
  if (from.number !== undefined && into.number === undefined) {
    await database.query('UPDATE contacts SET number = $2 WHERE user_id = $1', [
      into.userId,
      from.number,
    ]);
  }
}

/** The account behind a contact has become known: both entries become one, that of the account staying. */
export async function bindAccount(
  database: Queryable,
  ids: ContactIds,
  bind: { contact: Contact; accountId: AccountId; now: number },
): Promise<Contact> {
  const { contact, accountId, now } = bind;
  if (contact.accountId === accountId) return contact;
  const known = await rowWhere(database, 'account_id', accountId);
  if (known === undefined && contact.accountId === undefined) {
    await database.query('UPDATE contacts SET account_id = $2 WHERE user_id = $1', [
      contact.userId,
      accountId,
    ]);
    return { ...contact, accountId };
  }
  if (contact.accountId !== undefined) {
    // Another account answers for this contact's number now: that number is recycled.
    return contactForAccount(database, ids, accountId, now);
  }
  await merge(database, contact, contactOf(known as Row));
  return contactForAccount(database, ids, accountId, now);
}

/** A person sent its own number, or its name. An earlier holder of the number loses it. */
export async function learnProfile(
  database: Queryable,
  userId: string,
  profile: { number?: PhoneNumber | undefined; name?: string | undefined },
): Promise<void> {
  if (profile.number !== undefined) {
    await database.query('UPDATE contacts SET number = NULL WHERE number = $1 AND user_id <> $2', [
      profile.number,
      userId,
    ]);
    await database.query('UPDATE contacts SET number = $2 WHERE user_id = $1', [
      userId,
      profile.number,
    ]);
  }
  if (profile.name !== undefined) {
    await database.query('UPDATE contacts SET profile_name = $2 WHERE user_id = $1', [
      userId,
      profile.name,
    ]);
  }
}

export type Chat = { readonly phoneNumberId: NumericId; readonly userId: string };

export async function chatOf(
  database: Queryable,
  conversationId: ConversationId,
): Promise<Chat | undefined> {
  const { rows } = await database.queryNamed<{ phone_number_id: NumericId; user_id: string }>(
    'chat-by-conversation',
    'SELECT phone_number_id, user_id FROM chats WHERE conversation_id = $1',
    [conversationId],
  );
  const row = rows[0];
  return row && { phoneNumberId: row.phone_number_id, userId: row.user_id };
}

export async function rememberChat(
  database: Queryable,
  conversationId: ConversationId,
  chat: Chat,
): Promise<void> {
  await database.queryNamed(
    'remember-chat',
    `INSERT INTO chats (conversation_id, phone_number_id, user_id) VALUES ($1, $2, $3)
     ON CONFLICT (conversation_id) DO UPDATE SET user_id = $3`,
    [conversationId, chat.phoneNumberId, chat.userId],
  );
}
