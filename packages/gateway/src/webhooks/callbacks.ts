// Where a number's events go: its own address, else its WABA's, else the app's. An address is taken only after its owner
// answered the challenge.

import { randomBytes } from 'node:crypto';
import type { Queryable } from '@siegel/database';
import type { OutgoingRequests } from '../outgoing/outgoing-requests.ts';

export type CallbackScope = { readonly scope: 'app' | 'waba' | 'number'; readonly id: string };
export type Callback = { readonly url: string; readonly verifyToken: string };

export async function setCallback(
  database: Queryable,
  at: CallbackScope,
  callback: Callback,
  now: number,
): Promise<void> {
  await database.query(
    `INSERT INTO webhook_callbacks (scope, scope_id, callback_url, verify_token, updated_at)
     VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (scope, scope_id)
       DO UPDATE SET callback_url = $3, verify_token = $4, updated_at = $5`,
    [at.scope, at.id, callback.url, callback.verifyToken, now],
  );
}

export async function removeCallback(database: Queryable, at: CallbackScope): Promise<void> {
  await database.query('DELETE FROM webhook_callbacks WHERE scope = $1 AND scope_id = $2', [
    at.scope,
    at.id,
  ]);
}

export async function callbackAt(
  database: Queryable,
  at: CallbackScope,
): Promise<string | undefined> {
  const { rows } = await database.query<{ callback_url: string }>(
    'SELECT callback_url FROM webhook_callbacks WHERE scope = $1 AND scope_id = $2',
    [at.scope, at.id],
  );
  return rows[0]?.callback_url;
}

export type EventSource = {
  readonly appId: string;
  readonly wabaId: string;
  readonly phoneNumberId: string;
};

/** The address for an event, or undefined when nobody subscribed. */
export async function callbackFor(
  database: Queryable,
  source: EventSource,
): Promise<string | undefined> {
  const { rows } = await database.queryNamed<{ callback_url: string }>(
    'callback-for',
    `SELECT callback_url FROM webhook_callbacks
     WHERE ((scope = 'number' AND scope_id = $1) OR (scope = 'waba' AND scope_id = $2)
            OR (scope = 'app' AND scope_id = $3))
       AND NOT EXISTS (SELECT 1 FROM webhook_unsubscribed WHERE waba_id = $2)
     ORDER BY CASE scope WHEN 'number' THEN 1 WHEN 'waba' THEN 2 ELSE 3 END LIMIT 1`,
    [source.phoneNumberId, source.wabaId, source.appId],
  );
  return rows[0]?.callback_url;
}

export async function isSubscribed(database: Queryable, wabaId: string): Promise<boolean> {
  const gone = await database.query('SELECT 1 FROM webhook_unsubscribed WHERE waba_id = $1', [
    wabaId,
  ]);
  return gone.count === 0;
}

export async function subscribe(database: Queryable, wabaId: string): Promise<void> {
  await database.query('DELETE FROM webhook_unsubscribed WHERE waba_id = $1', [wabaId]);
}

export async function unsubscribe(database: Queryable, wabaId: string): Promise<void> {
  await database.query(
    'INSERT INTO webhook_unsubscribed (waba_id) VALUES ($1) ON CONFLICT DO NOTHING',
    [wabaId],
  );
}

export type Handshake =
  | { readonly outcome: 'verified' }
  | { readonly outcome: 'refused'; readonly why: string };

/** `GET` with hub.challenge: the owner of the address proves that it knows the verify token by echoing the challenge. */
export async function shakeHands(
  outgoing: OutgoingRequests,
  callback: Callback,
): Promise<Handshake> {
  const challenge = String(randomBytes(4).readUInt32BE());
  let url: URL;
  try {
    url = new URL(callback.url);
  } catch {
    return { outcome: 'refused', why: 'the callback URL is not a URL' };
  }
  url.searchParams.set('hub.mode', 'subscribe');
  url.searchParams.set('hub.verify_token', callback.verifyToken);
  url.searchParams.set('hub.challenge', challenge);
  const answer = await outgoing.send({
    method: 'GET',
    url: url.href,
    headers: { 'user-agent': 'facebookplatform/1.0 (+http://developers.facebook.com)' },
    timeoutMs: 10_000,
    answerBytesMax: 4096,
    redirectsMax: 0,
  });
  if (answer.outcome === 'failed') {
    return { outcome: 'refused', why: `the callback URL could not be called: ${answer.reason}` };
  }
  if (answer.status !== 200) {
    return { outcome: 'refused', why: `the callback URL answered HTTP ${answer.status}` };
  }
  return Buffer.from(answer.body).toString('utf8').trim() === challenge
    ? { outcome: 'verified' }
    : { outcome: 'refused', why: 'the callback URL did not answer with hub.challenge' };
}
