// The relay's log, one function per event. No event takes content, keys, tokens, phone numbers or request bodies, so none
// can be logged (rule H2); of a failure only its kind and place are written, never its text.

import type { DestinationStream } from 'pino';
import { pino } from 'pino';

/** What may be said of a thrown thing: its text can quote a row or a body, so it stays out. */
function describe(failure: unknown) {
  if (!(failure instanceof Error)) return { kind: typeof failure };
  const { code, sqlState, constraint } = failure as Error & Record<string, unknown>;
  const place = (failure.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 6)
    .map((line) => line.trim());
  const plain = (value: unknown) => (typeof value === 'string' ? value : undefined);
  return {
    kind: failure.name,
    code: plain(code),
    sqlState: plain(sqlState),
    constraint: plain(constraint),
    place,
  };
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export type Events = ReturnType<typeof createEvents>;

/** Writes JSON lines to `destination`, standard output unless given. */
export function createEvents(level: LogLevel, destination?: DestinationStream) {
  const options = { level, base: { server: 'relay' } };
  const log = destination === undefined ? pino(options) : pino(options, destination);
  return {
    started: (port: number) => log.info({ port }, 'relay started'),
    migrated: (names: readonly string[]) => log.info({ names }, 'database migrated'),
    stopping: () => log.info('relay stopping'),
    stopped: () => log.info('relay stopped'),
    /** A request was answered with 5xx. */
    requestFailed: (endpoint: string, failure: unknown) =>
      log.error({ endpoint, failure: describe(failure) }, 'request failed'),
    /** Work outside a request failed and will be tried again. */
    backgroundFailed: (work: string, failure: unknown) =>
      log.error({ work, failure: describe(failure) }, 'background work failed'),
    socketFailed: (failure: unknown) => log.debug({ failure: describe(failure) }, 'socket failed'),
    smsFailed: (failure: unknown) => log.error({ failure: describe(failure) }, 'sms not sent'),
    smsBudgetSpent: () => log.warn('daily sms budget is spent'),
    swept: (what: string, count: number) => log.info({ what, count }, 'swept'),
    devicesRevoked: (count: number) => log.info({ count }, 'devices revoked'),
    businessRegistered: (numbers: number) => log.info({ numbers }, 'business registered'),
    businessEnrolled: () => log.info('business enrolled'),
    templateDecided: (decision: string) => log.info({ decision }, 'template decided'),
  };
}
