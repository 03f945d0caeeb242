// The one file that makes Meta-shaped errors: refusals of our own, failures of ours, and whatever the HTTP library refuses.

import {
  type CloudApiErrorBody,
  type CloudApiRefusal,
  cloudApiErrors,
} from '@siegel/protocol/cloud-api';
import { SiegelError } from '@siegel/protocol/errors';

export type ErrorAnswer = {
  readonly status: number;
  readonly body: CloudApiErrorBody;
  readonly retryAfterSeconds?: number;
};

export function errorAnswer(refusal: CloudApiRefusal, traceId: string): ErrorAnswer {
  const entry = cloudApiErrors[refusal.code];
  const authentication = refusal.code === 0 || refusal.code === 190 || refusal.code === 10;
  return {
    status: entry.http,
    body: {
      error: {
        message: `(#${refusal.code}) ${entry.title}`,
        type: authentication ? 'OAuthException' : 'GraphMethodException',
        code: refusal.code,
        ...(refusal.subcode === undefined ? {} : { error_subcode: refusal.subcode }),
        error_data: {
          messaging_product: 'whatsapp',
          details: refusal.details ?? entry.details,
        },
        is_transient: entry.http === 429 || entry.http >= 500,
        fbtrace_id: traceId,
      },
    },
    ...(entry.http === 429 || entry.http === 503
      ? { retryAfterSeconds: refusal.retryAfterSeconds ?? 1 }
      : {}),
  };
}

/** Failures of the house: which code a client sees. The cause stays here. */
function refusalOfFailure(error: SiegelError): CloudApiRefusal {
  switch (error.code) {
    case 'overloaded':
    case 'shutting-down':
    // Another process writes this account now; whoever asks again reaches that one.
    case 'state-conflict':
      return { code: 2 };
    case 'too-many-requests':
      return { code: 4 };
    case 'database-unavailable':
    case 'relay-unreachable':
    case 'relay-refused':
      return { code: 131016 };
    case 'attachment-corrupt':
      return { code: 131053 };
    case 'request-invalid':
      return { code: 100, details: 'The content of the message is not valid.' };
    default:
      return { code: 131000 };
  }
}

const databaseAway = new Set(['database-unavailable', 'conflict', 'statement-timeout']);

/** What the HTTP library found wrong with a request, in a sentence without its contents. */
function refusalOfRequest(status: number, code: string): CloudApiRefusal {
  if (status === 413) return { code: 100, details: 'The request is larger than allowed here.' };
  if (status === 415) {
    return { code: 100, details: 'The content type of the request is not supported here.' };
  }
  if (code.startsWith('FST_ERR_CTP') || code === '') {
    return { code: 100, details: 'The request body could not be read.' };
  }
  return { code: 1 };
}

/** Any error that reached the edge. `unexpected` ones are ours and are to be logged. */
export function refusalOfError(error: unknown): { refusal: CloudApiRefusal; unexpected: boolean } {
  if (error instanceof SiegelError) {
    const refusal = refusalOfFailure(error);
    return { refusal, unexpected: refusal.code === 131000 };
  }
  const { name, code, statusCode } = error as { name?: string; code?: string; statusCode?: number };
  if (name === 'DatabaseFailure') {
    if (code === 'overloaded' || code === 'database-closed') {
      return { refusal: { code: 2 }, unexpected: false };
    }
    const away = databaseAway.has(code ?? '');
    return { refusal: { code: away ? 131016 : 131000 }, unexpected: !away };
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return { refusal: refusalOfRequest(statusCode, code ?? ''), unexpected: false };
  }
  return { refusal: { code: 131000 }, unexpected: true };
}

/** One answer for what does not exist and what this token may not see. */
export const noSuchObject: CloudApiRefusal = {
  code: 100,
  subcode: 33,
  details:
    'There is no object of this id, or this access token may not see it, or it does not support this operation.',
};
