// The delivery worker: takes due events, posts each alone, and repeats only what no 2xx was recorded for. Order holds
// within a chat; chats do not wait for each other.

import type { Database } from '@siegel/database';
import { SiegelError } from '@siegel/protocol/errors';
import type { OutgoingRequests } from '../outgoing/outgoing-requests.ts';
import { callbackFor } from './callbacks.ts';
import { dueEvents, nextDue, postponeEvent, settleEvent, type WaitingEvent } from './queue.ts';
import { signedHeaders } from './sign.ts';

export const deliveryLimits = {
  attemptMs: 10_000,
  answerBytesMax: 64 * 1024,
  inFlightMax: 32,
  firstRetryMs: 1000,
  retryMsMax: 60 * 60 * 1000,
  giveUpMs: 7 * 24 * 60 * 60 * 1000,
  /** looked again at least so often, whoever forgot to wake it */
  idleMsMax: 30_000,
} as const;

export type DeliveryOptions = {
  readonly database: Database;
  readonly outgoing: OutgoingRequests;
  readonly appId: string;
  readonly appSecret: string;
  readonly now: () => number;
  /** 0 ≤ x < 1 */
  readonly random: () => number;
  readonly schedule: (run: () => void, milliseconds: number) => () => void;
  /** fills in what an event with media still lacks; undefined: not yet, try again */
  readonly complete?: (event: WaitingEvent) => Promise<string | undefined>;
  readonly onOutcome?: (outcome: 'delivered' | 'retried' | 'dead') => void;
  readonly onTrouble?: (error: unknown) => void;
};

export interface DeliveryWorker extends AsyncDisposable {
  /** Something was added. */
  wake(): void;
  /** Stops taking events and waits for attempts under way. */
  close(): Promise<void>;
}

/** Doubling from one second to one hour, half of it by chance, so that many chats do not return at once. */
export function retryDelayMs(attempts: number, random: () => number): number {
  const { firstRetryMs, retryMsMax } = deliveryLimits;
  const whole = Math.min(retryMsMax, firstRetryMs * 2 ** Math.min(attempts, 20));
  return Math.round(whole / 2 + (whole / 2) * random());
}

async function post(
  options: DeliveryOptions,
  event: WaitingEvent,
  url: string,
  body: string,
): Promise<{ acknowledged: boolean; answer: string }> {
  const answer = await options.outgoing.send({
    method: 'POST',
    url,
    body,
    headers: signedHeaders({
      appSecret: options.appSecret,
      body,
      eventId: event.eventId,
      timestamp: Math.floor(options.now() / 1000),
    }),
    timeoutMs: deliveryLimits.attemptMs,
    answerBytesMax: deliveryLimits.answerBytesMax,
    beyond: 'cut',
    redirectsMax: 0,
  });
  if (answer.outcome === 'failed') return { acknowledged: false, answer: answer.reason };
  return {
    acknowledged: answer.status >= 200 && answer.status < 300,
    answer: String(answer.status),
  };
}

async function attempt(options: DeliveryOptions, event: WaitingEvent): Promise<void> {
  const { database, appId, now, random, onOutcome } = options;
  const url = await callbackFor(database, { ...event, appId });
  const body = event.mediaId === undefined ? event.body : await options.complete?.(event);
  const { acknowledged, answer } =
    url === undefined
      ? { acknowledged: false, answer: 'no-callback' }
      : body === undefined
        ? { acknowledged: false, answer: 'media-not-fetched' }
        : await post(options, event, url, body);
  if (acknowledged) {
    await settleEvent(database, { event, state: 'delivered', answer, now: now() });
    return onOutcome?.('delivered');
  }
  const nextAt = now() + retryDelayMs(event.attempts, random);
  if (nextAt - event.createdAt > deliveryLimits.giveUpMs) {
    await settleEvent(database, { event, state: 'dead', answer, now: now() });
    return onOutcome?.('dead');
  }
  await postponeEvent(database, { event, answer, nextAt });
  return onOutcome?.('retried');
}

export function startDelivery(options: DeliveryOptions): DeliveryWorker {
  const { database, now, schedule } = options;
  const busy = new Map<string, Promise<void>>();
  let closed = false;
  let looking = false;
  let lookAgain = false;
  let cancelTimer = () => {};

  function later(milliseconds: number): void {
    cancelTimer();
    const wait = Math.max(1, Math.min(milliseconds, deliveryLimits.idleMsMax));
    if (!closed) cancelTimer = schedule(wake, wait);
  }

  function start(event: WaitingEvent): void {
    const running = attempt(options, event)
      .finally(() => busy.delete(event.chat))
      .then(wake, (error: unknown) => {
        // Only the database being away ends here. The event still waits; a pause keeps it from being posted in a loop.
        options.onTrouble?.(error);
        later(1000);
      });
    busy.set(event.chat, running);
  }

  async function look(): Promise<void> {
    const busyChats = [...busy.keys()];
    const limit = deliveryLimits.inFlightMax - busyChats.length;
    if (limit > 0) {
      const events = await dueEvents(database, { now: now(), busyChats, limit });
      if (closed) return;
      for (const event of events) start(event);
    }
    const next = await nextDue(database, [...busy.keys()]);
    later(next === undefined ? deliveryLimits.idleMsMax : next - now());
  }

  function wake(): void {
    if (closed) return;
    if (looking) {
      lookAgain = true;
      return;
    }
    looking = true;
    lookAgain = false;
    look()
      .catch((error: unknown) => {
        options.onTrouble?.(error);
        later(1000);
      })
      .finally(() => {
        looking = false;
        if (lookAgain) wake();
      });
  }

  async function close(): Promise<void> {
    closed = true;
    cancelTimer();
    await Promise.all(busy.values());
  }

  if (options.appSecret === '') throw new SiegelError('configuration-invalid', 'app secret');
  wake();
  return { wake, close, [Symbol.asyncDispose]: close };
}
