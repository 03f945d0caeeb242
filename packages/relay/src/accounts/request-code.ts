// The first step of a registration: send six digits to a number. Known, unknown and business numbers are answered alike,
// and in the same time: nobody waits for the SMS (A1–A4).

import { createHmac } from 'node:crypto';
import { SiegelError } from '@siegel/protocol/errors';
import { type AccountId, AccountId as AccountIdSchema } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { requestCode } from '@siegel/protocol/relay';
import { isPossiblePhoneNumber } from 'libphonenumber-js/min';
import type { BasePorts } from '../base-ports.ts';
import type { Events } from '../events.ts';
import type { Rule } from '../http/route.ts';
import type { Metrics } from '../metrics.ts';
import { randomBelow, toText } from '../octets.ts';
import { spendQuota } from '../quotas.ts';
import { addressKey, type Limit, type RateLimiter } from '../rate-limits.ts';
import { readNumber } from './account-store.ts';
import { insertRegistration } from './registration-store.ts';
import { codeText, type SmsSender } from './sms.ts';

export type RequestCodePorts = BasePorts & {
  readonly sms: SmsSender;
  readonly rateLimiter: RateLimiter;
  readonly events: Events;
  readonly metrics: Metrics;
  readonly codeSecret: Uint8Array;
  readonly issuer: string;
  /** What a day may cost, in messages (A3). */
  readonly smsPerDay: number;
};

/** A3. A prefix is a block of ten thousand numbers: who pumps SMS for money owns such a block. */
const codeLimits = {
  number: { burst: 5, perMinute: 3 / 60 },
  address: { burst: 15, perMinute: 15 / 60 },
  prefix: { burst: 60, perMinute: 1 },
} as const satisfies Record<string, Limit>;

const prefixOmits = 4;
/** The relay's own account in `quotas`: the nil UUID, which nobody can have. */
const relayOwner: AccountId = AccountIdSchema.parse('00000000-0000-0000-0000-000000000000');
const daySeconds = 86_400;

export const hashCode = (secret: Uint8Array, registrationId: Uint8Array, code: string): Buffer =>
  createHmac('sha256', secret).update('code').update(registrationId).update(code).digest();

export const sendCode =
  (ports: RequestCodePorts): Rule<typeof requestCode> =>
  async ({ address }, { number, language }) => {
    if (!isPossiblePhoneNumber(number)) {
      throw new SiegelError('request-invalid', 'number cannot be a phone number.');
    }
    const refusal = limitRefusal(ports.rateLimiter, number, address);
    if (refusal !== undefined) return { outcome: 'rate-limited', retryAfterSeconds: refusal };
    const { database, now, random, events } = ports;
    const spending = { owner: relayOwner, quota: 'sms', amount: 1, max: ports.smsPerDay };
    const budget = await spendQuota(database, {
      ...spending,
      windowSeconds: daySeconds,
      now: now(),
    });
    if (!budget.spent) {
      events.smsBudgetSpent();
      return { outcome: 'rate-limited', retryAfterSeconds: budget.retryAfterSeconds };
    }
    const id = Buffer.from(random(16));
    const code = String(randomBelow(random, 10 ** limits.codeDigits)).padStart(
      limits.codeDigits,
      '0',
    );
    const expiresInSeconds = limits.codeMinutes * 60;
    await insertRegistration(database, {
      id,
      number,
      codeHash: hashCode(ports.codeSecret, id, code),
      tries: limits.codeTries,
      expiresAt: now() + expiresInSeconds * 1000,
    });
    const holder = await readNumber(database, number);
    // A business number is bound by the operator, never by a code.
    const isBusiness = holder !== undefined && holder.phone_number_id !== null;
    if (!isBusiness) post(ports, number, codeText(code, ports.issuer, language ?? 'de'));
    return { outcome: 'code-sent', registrationId: toText(id), expiresInSeconds };
  };

/** Seconds to wait, or undefined. All three are asked before any is taken from. */
function limitRefusal(limiter: RateLimiter, number: string, address: string): number | undefined {
  const keys: readonly (readonly [string, Limit])[] = [
    [`sms-number/${number}`, codeLimits.number],
    [`sms-address/${addressKey(address)}`, codeLimits.address],
    [`sms-prefix/${number.slice(0, -prefixOmits)}`, codeLimits.prefix],
  ];
  for (const [key, limit] of keys) {
    const there = limiter.peek(key, limit);
    if (!there.taken) return there.retryAfterSeconds;
  }
  for (const [key, limit] of keys) limiter.take(key, limit);
  return undefined;
}

/** Does not wait: how long an SMS takes would tell which number it went to. */
function post({ sms, now, events, metrics }: RequestCodePorts, to: string, text: string): void {
  sms.send({ to, text, at: now() }).then(
    () => metrics.textsSent.inc({ result: 'sent' }),
    (failure: unknown) => {
      metrics.textsSent.inc({ result: 'failed' });
      events.smsFailed(failure);
    },
  );
}
