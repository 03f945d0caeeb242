// Events wait here from the transaction that made them until somebody's server answered 2xx. An event keeps its id and its
// exact body through every attempt.

import type { Queryable } from '@siegel/database';
import type { WebhookBody } from '@siegel/protocol/cloud-api';
import { asciiJson } from './ascii-json.ts';

export type WaitingEvent = {
  readonly eventId: string;
  readonly chat: string;
  readonly wabaId: string;
  readonly phoneNumberId: string;
  readonly mediaId?: string;
  readonly body: string;
  readonly attempts: number;
  readonly createdAt: number;
};

/** Numbers that only grow, also over restarts and backward clocks; one process writes (writer-lease.ts). */
export async function createEventOrder(
  database: Queryable,
  now: () => number,
): Promise<() => number> {
  const { rows } = await database.query<{ last: number }>(
    'SELECT COALESCE(MAX(event_order), 0)::bigint AS last FROM webhook_events',
  );
  let last = rows[0]?.last ?? 0;
  return () => {
    last = Math.max(last + 1, now() * 1000);
    return last;
  };
}

/** Inside the transaction that stores what the event tells of. */
export async function enqueueEvent(
  transaction: Queryable,
  event: {
    eventId: string;
    order: number;
    chat: string;
    wabaId: string;
    phoneNumberId: string;
    mediaId?: string | undefined;
    body: WebhookBody;
    now: number;
  },
): Promise<void> {
  await transaction.queryNamed(
    'wake-webhook-chat',
    `INSERT INTO webhook_chats AS known (chat, waiting, next_at) VALUES ($1, 1, $2)
     ON CONFLICT (chat) DO UPDATE SET waiting = known.waiting + 1,
       next_at = CASE WHEN known.waiting = 0 THEN $2 ELSE known.next_at END`,
    [event.chat, event.now],
  );
  await transaction.queryNamed(
    'enqueue-webhook-event',
    `INSERT INTO webhook_events
       (event_id, chat, event_order, waba_id, phone_number_id, media_id, body, state, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting', $8)`,
    [
      event.eventId,
      event.chat,
      event.order,
      event.wabaId,
      event.phoneNumberId,
      event.mediaId ?? null,
      asciiJson(event.body),
      event.now,
    ],
  );
}

type Row = {
  event_id: string;
  chat: string;
  waba_id: string;
  phone_number_id: string;
  media_id: string | null;
  body: string;
  attempts: number;
  created_at: number;
};

/** The oldest waiting event of each chat that is due, without the chats that are being served. */
export async function dueEvents(
  database: Queryable,
  due: { now: number; busyChats: readonly string[]; limit: number },
): Promise<WaitingEvent[]> {
  const { rows } = await database.queryNamed<Row>(
    'due-webhook-events',
    `SELECT head.* FROM (
       SELECT chat FROM webhook_chats
       WHERE waiting > 0 AND next_at <= $1 AND chat <> ALL($2) ORDER BY next_at LIMIT $3
     ) AS due, LATERAL (
       SELECT event_id, chat, waba_id, phone_number_id, media_id, body, attempts, created_at
       FROM webhook_events WHERE chat = due.chat AND state = 'waiting' ORDER BY event_order LIMIT 1
     ) AS head`,
    [due.now, due.busyChats, due.limit],
  );
  return rows.map((row) => ({
    eventId: row.event_id,
    chat: row.chat,
    wabaId: row.waba_id,
    phoneNumberId: row.phone_number_id,
    body: row.body,
    attempts: row.attempts,
    createdAt: row.created_at,
    ...(row.media_id === null ? {} : { mediaId: row.media_id }),
  }));
}

/** When the next event is due; undefined when none waits. */
export async function nextDue(
  database: Queryable,
  busyChats: readonly string[],
): Promise<number | undefined> {
  const { rows } = await database.queryNamed<{ next_at: number }>(
    'next-webhook-due',
    `SELECT next_at FROM webhook_chats WHERE waiting > 0 AND chat <> ALL($1)
     ORDER BY next_at LIMIT 1`,
    [busyChats],
  );
  return rows[0]?.next_at;
}

const finish = `UPDATE webhook_events
  SET state = $2, attempts = attempts + 1, settled_at = $3, last_answer = $4
  WHERE event_id = $1 AND state = 'waiting' RETURNING chat`;

/** The event is over: acknowledged, or given up. Its chat's next one is due at once. */
export async function settleEvent(
  database: Queryable,
  settled: { event: WaitingEvent; state: 'delivered' | 'dead'; answer: string; now: number },
): Promise<void> {
  const { event, state, answer, now } = settled;
  await database.queryNamed(
    'settle-webhook-event',
    `WITH finished AS (${finish})
     UPDATE webhook_chats SET waiting = waiting - 1, next_at = $3
     WHERE chat IN (SELECT chat FROM finished)`,
    [event.eventId, state, now, answer],
  );
}

/** Not acknowledged: again at `nextAt`, and everything behind it in its chat waits. */
export async function postponeEvent(
  database: Queryable,
  postponed: { event: WaitingEvent; answer: string; nextAt: number },
): Promise<void> {
  const { event, answer, nextAt } = postponed;
  await database.queryNamed(
    'postpone-webhook-event',
    `WITH tried AS (
       UPDATE webhook_events SET attempts = attempts + 1, last_answer = $2
       WHERE event_id = $1 AND state = 'waiting' RETURNING chat)
     UPDATE webhook_chats SET next_at = $3 WHERE chat IN (SELECT chat FROM tried)`,
    [event.eventId, answer, nextAt],
  );
}

/** Media has been fetched: from now on this body is the one that is sent, every time. */
export async function fixBody(
  database: Queryable,
  eventId: string,
  body: unknown,
): Promise<string> {
  const text = asciiJson(body);
  await database.query('UPDATE webhook_events SET body = $2, media_id = NULL WHERE event_id = $1', [
    eventId,
    text,
  ]);
  return text;
}

/** Delivered events are kept a while for the delivery log, dead letters longer. */
export async function sweepEvents(
  database: Queryable,
  before: { delivered: number; dead: number },
): Promise<void> {
  await database.query(
    `DELETE FROM webhook_events
     WHERE (state = 'delivered' AND settled_at < $1) OR (state = 'dead' AND settled_at < $2)`,
    [before.delivered, before.dead],
  );
  await database.query('DELETE FROM webhook_chats WHERE waiting = 0 AND next_at < $1', [
    before.delivered,
  ]);
}

export async function countEvents(
  database: Queryable,
): Promise<{ readonly waiting: number; readonly dead: number }> {
  const { rows } = await database.query<{ state: string; count: number }>(
    `SELECT state, COUNT(*)::bigint AS count FROM webhook_events
     WHERE state <> 'delivered' GROUP BY state`,
  );
  const of = (state: string) => rows.find((row) => row.state === state)?.count ?? 0;
  return { waiting: of('waiting'), dead: of('dead') };
}
