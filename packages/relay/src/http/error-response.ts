// What goes wrong, as an answer: `{ error: { code, message } }`. The one place that turns thrown things into HTTP;
// a 5xx says its code and nothing else, and an unauthenticated caller is not told why.

import { DatabaseFailure } from '@siegel/database';
import { type ErrorCode, errorCodes, SiegelError } from '@siegel/protocol/errors';
import type { FastifyError } from 'fastify';

export type ErrorAnswer = {
  readonly status: number;
  readonly body: { readonly error: { readonly code: ErrorCode; readonly message: string } };
};

export function errorAnswer(thrown: unknown): ErrorAnswer {
  if (!(thrown instanceof SiegelError)) return answerOf(codeOf(thrown));
  const tellsDetail = thrown.status < 500 && thrown.code !== 'unauthenticated';
  return answerOf(thrown.code, tellsDetail ? thrown.message : undefined);
}

export const answerOf = (code: ErrorCode, message?: string): ErrorAnswer => ({
  status: errorCodes[code].status,
  body: { error: { code, message: message ?? errorCodes[code].message } },
});

function codeOf(thrown: unknown): ErrorCode {
  if (thrown instanceof DatabaseFailure) return codeOfDatabase(thrown);
  const status = (thrown as FastifyError | undefined)?.statusCode;
  if (status === 413) return 'request-too-large';
  if (status === 415) return 'media-type-unsupported';
  if (status === 404) return 'not-found';
  return status !== undefined && status >= 400 && status < 500 ? 'request-invalid' : 'internal';
}

function codeOfDatabase(failure: DatabaseFailure): ErrorCode {
  if (failure.code === 'overloaded' || failure.code === 'statement-timeout') return 'overloaded';
  if (failure.code === 'conflict') return 'overloaded';
  return failure.retryable || failure.code === 'database-closed'
    ? 'database-unavailable'
    : 'internal';
}
