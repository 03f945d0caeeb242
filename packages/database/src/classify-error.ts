// Turns what `pg` throws into a DatabaseFailure: whether the world broke (try again), two
// transactions met (run again) or the statement is wrong. Row contents are left behind here.

import { DatabaseError } from 'pg';
import { DatabaseFailure } from './database-failure.ts';
import { errorCode } from './error-code.ts';

const networkCodes = new Set(
  (
    'ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ENOENT ETIMEDOUT EAGAIN ' +
    'EHOSTUNREACH ENETUNREACH ENETDOWN ENOTFOUND EAI_AGAIN ENOTCONN'
  ).split(' '),
);

/** `pg` gives these no code. */
const brokenConnection = [
  'Connection terminated',
  'timeout exceeded when trying to connect',
  'Query read timeout',
  'connection error and is not queryable',
  'Client was closed',
  'Connection ended',
  'write after end',
  'This socket has been ended',
];

/** Server going down, coming up, or full; and read-only or not yet promoted after a failover. */
const unavailableStates = new Set(['57P01', '57P02', '57P03', '57P05', '53300', '25006']);
const conflictStates = new Set(['40001', '40P01', '55P03']);

function message(error: DatabaseError, sqlState: string): string {
  // Class 22 (data exception) quotes the offending value in its primary message.
  const text = sqlState.startsWith('22') ? 'a value does not fit' : error.message;
  return `the database answered ${sqlState}: ${text}`;
}

function classifyAnswer(error: DatabaseError): DatabaseFailure {
  const sqlState = error.code ?? 'XX000';
  const details = { sqlState, constraint: error.constraint };
  const text = message(error, sqlState);
  if (sqlState.startsWith('08') || unavailableStates.has(sqlState)) {
    return new DatabaseFailure('database-unavailable', text, { ...details, retryable: true });
  }
  if (conflictStates.has(sqlState)) {
    return new DatabaseFailure('conflict', text, { ...details, retryable: true });
  }
  if (sqlState === '57014') {
    return new DatabaseFailure('statement-timeout', text, { ...details, retryable: true });
  }
  const refused = sqlState.startsWith('28') || sqlState === '3D000';
  return new DatabaseFailure(refused ? 'database-refused' : 'query-failed', text, details);
}

/** Anything that is not the database's is returned as it came: it is the caller's own. */
export function classifyError(error: unknown): unknown {
  if (error instanceof DatabaseFailure || !(error instanceof Error)) return error;
  if (error instanceof DatabaseError) return classifyAnswer(error);
  const code = errorCode(error) ?? '';
  if (networkCodes.has(code) || brokenConnection.some((text) => error.message.includes(text))) {
    const text = `the database cannot be reached: ${code || error.message}`;
    return new DatabaseFailure('database-unavailable', text, { retryable: true });
  }
  if (/after calling end on the pool/.test(error.message)) {
    return new DatabaseFailure('database-closed', 'the database connection was closed');
  }
  return error;
}
