// Sends through a Cloud API, Siegel's gateway or WhatsApp's own. Tries again only where the request
// surely had no effect.
import { setTimeout as delay } from 'node:timers/promises';
import { type Fields, fieldsOf, listOf, parseJson, textOf } from './fields.ts';

export type CloudApiAccess = {
  /** without version and number: `http://localhost:4500` or `https://graph.facebook.com` */
  readonly cloudApi: string;
  readonly accessToken: string;
  readonly phoneNumberId: string;
};

/** The Cloud API refused; `code` is its own number for why. */
export class CloudApiRefusal extends Error {
  override readonly name = 'CloudApiRefusal';
  readonly status: number;
  readonly code: number | undefined;

  constructor(status: number, code: number | undefined, options?: { cause?: unknown }) {
    super(`the Cloud API answered ${status}${code === undefined ? '' : `, code ${code}`}`, options);
    this.status = status;
    this.code = code;
  }
}

export interface CloudApiClient {
  /** Posts to `/{number}/messages` and answers the message id; an empty text for read receipts. */
  send(message: Readonly<Record<string, unknown>>, signal?: AbortSignal): Promise<string>;
}

const version = 'v25.0';
const attemptsMax = 4;
const firstPauseMs = 250;
const requestTimeoutMs = 10_000;
const answerBytesMax = 64 * 1024;
/** Too many requests and too busy: said before anything was done. */
const retryableStatuses = new Set([429, 503]);
const retryableCodes = new Set([4, 80007, 130429, 131056]);
/** Nobody took the connection, so nothing was sent. */
const neverSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN']);

type Answer = { readonly status: number; readonly body: Fields };

/** `fetch` hides what the connection said in the cause of its error. */
const connectionCode = (error: unknown): string =>
  textOf(fieldsOf(error instanceof Error ? error.cause : undefined)['code']) ?? '';

async function post(
  access: CloudApiAccess,
  message: Readonly<Record<string, unknown>>,
  signal: AbortSignal | undefined,
): Promise<Answer | 'never-sent'> {
  const base = access.cloudApi.replace(/\/+$/, '');
  const timeout = AbortSignal.timeout(requestTimeoutMs);
  try {
    const response = await fetch(`${base}/${version}/${access.phoneNumberId}/messages`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${access.accessToken}`,
        'content-type': 'application/json',
        // Siegel shows people that a machine wrote this; others pass over the header.
        'x-siegel-automated': 'true',
      },
      body: JSON.stringify({ messaging_product: 'whatsapp', ...message }),
      redirect: 'error',
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    });
    const text = (await response.text()).slice(0, answerBytesMax);
    return { status: response.status, body: fieldsOf(parseJson(text)?.value) };
  } catch (cause) {
    if (neverSent.has(connectionCode(cause))) return 'never-sent';
    throw new CloudApiRefusal(0, undefined, { cause });
  }
}

const refusalOf = ({ status, body }: Answer): CloudApiRefusal => {
  const { code } = fieldsOf(body['error']);
  return new CloudApiRefusal(status, typeof code === 'number' ? code : undefined);
};

const mayTryAgain = (refusal: CloudApiRefusal): boolean =>
  retryableStatuses.has(refusal.status) ||
  (refusal.code !== undefined && retryableCodes.has(refusal.code));

export function createCloudApiClient(access: CloudApiAccess): CloudApiClient {
  return {
    async send(message, signal) {
      for (let attempt = 1; ; attempt += 1) {
        const answer = await post(access, message, signal);
        if (answer !== 'never-sent' && answer.status === 200) {
          return textOf(listOf(answer.body['messages'])[0]?.['id']) ?? '';
        }
        const refusal =
          answer === 'never-sent' ? new CloudApiRefusal(0, undefined) : refusalOf(answer);
        const again = answer === 'never-sent' || mayTryAgain(refusal);
        if (!again || attempt >= attemptsMax) throw refusal;
        await delay(firstPauseMs * 4 ** (attempt - 1), undefined, signal ? { signal } : {});
      }
    },
  };
}
