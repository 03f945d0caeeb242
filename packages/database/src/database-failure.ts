// The one failure this package throws. Callers switch on `code` and obey `retryable`; the text
// never carries row contents, because it may end in a log.

export type DatabaseFailureCode =
  | 'database-unavailable'
  | 'database-refused'
  | 'database-closed'
  | 'conflict'
  | 'statement-timeout'
  | 'query-failed'
  | 'unsafe-integer'
  | 'overloaded'
  | 'closed'
  | 'name-invalid'
  | 'database-owned-by-other'
  | 'migration-invalid'
  | 'migration-changed'
  | 'migration-missing'
  | 'migration-failed'
  | 'embedded-unavailable'
  | 'embedded-in-use'
  | 'embedded-folder-unsafe'
  | 'embedded-version-mismatch'
  | 'embedded-init-failed'
  | 'embedded-start-failed'
  | 'embedded-stop-failed'
  | 'test-server-failed';

export interface DatabaseFailureDetails {
  readonly retryable?: boolean;
  readonly cause?: unknown;
  readonly sqlState?: string | undefined;
  readonly constraint?: string | undefined;
  readonly outcomeUnknown?: boolean;
}

export class DatabaseFailure extends Error {
  override readonly name = 'DatabaseFailure';
  readonly code: DatabaseFailureCode;
  readonly retryable: boolean;
  /** SQLSTATE, when the server answered. */
  readonly sqlState: string | undefined;
  /** Name of the violated constraint, when there is one. */
  readonly constraint: string | undefined;
  /** True when the connection broke during COMMIT: the work may or may not have been applied. */
  readonly outcomeUnknown: boolean;

  constructor(code: DatabaseFailureCode, message: string, details: DatabaseFailureDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.retryable = details.retryable ?? false;
    this.sqlState = details.sqlState;
    this.constraint = details.constraint;
    this.outcomeUnknown = details.outcomeUnknown ?? false;
  }
}

/** Whether trying the same work again may succeed; false for anything unknown. */
export function isRetryable(error: unknown): boolean {
  return error instanceof Error && 'retryable' in error && error.retryable === true;
}
