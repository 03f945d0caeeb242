// Starts a person as a process of its own, so that a test can kill it at any moment and open it
// again on the same journal.
import { type ChildProcess, spawn } from 'node:child_process';
import type { ConversationNotice, ReceivedMessage, StatusUpdate } from '@siegel/client';
import { SiegelError } from '@siegel/protocol/errors';
import { programOf } from '../town/program.ts';
import type { PersonConfig, PersonReport, PersonRequest } from './person-protocol.ts';

export interface PersonProcess {
  readonly number: string;
  /** undefined while it does not run */
  pid(): number | undefined;
  /** over all lives of this person; one told twice over a crash stands here twice */
  readonly received: readonly ReceivedMessage[];
  readonly statuses: readonly StatusUpdate[];
  readonly notices: readonly ConversationNotice[];
  waitFor(
    fits: (message: ReceivedMessage) => boolean,
    options?: { readonly timeoutMs?: number },
  ): Promise<ReceivedMessage>;
  sendText(number: string, text: string): Promise<string>;
  answer(conversationId: string, text: string): Promise<string>;
  /** what its journal holds, newest first */
  history(conversationId: string): Promise<unknown>;
  settled(): Promise<void>;
  /** SIGKILL; resolves when it is gone */
  kill(): Promise<void>;
  /** Opens it again after a kill. */
  start(): Promise<void>;
  /** In order. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const openTimeoutMs = 60_000;
const requestTimeoutMs = 20_000;
const waitMsDefault = 15_000;

type Pending = { readonly resolve: (value: unknown) => void; readonly reject: (e: Error) => void };
/** What a request asks, without its number. */
type Asked = PersonRequest extends infer One
  ? One extends { readonly request: number }
    ? Omit<One, 'request'>
    : never
  : never;

const failed = (why: string): SiegelError => new SiegelError('internal', why);

function createLife(config: PersonConfig, take: (report: PersonReport) => void) {
  const pending = new Map<number, Pending>();
  let asked = 0;
  const child: ChildProcess = spawn(
    process.execPath,
    programOf('packages/testkit', 'children/person-child'),
    {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // Contents hold octets, which JSON would spoil.
      serialization: 'advanced',
    },
  );
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const opened = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(failed('The person did not open.')), openTimeoutMs);
    child.once('exit', () => reject(failed('The person ended while opening.')));
    child.on('message', (message: unknown) => {
      // Only our own child has the other end.
      const report = message as PersonReport;
      if (report.report === 'open') {
        clearTimeout(timer);
        resolve();
      }
      if (report.report === 'failed') reject(failed(report.why));
      if (report.report === 'answer') pending.get(report.request)?.resolve(report.value);
      if (report.report === 'refusal') pending.get(report.request)?.reject(failed(report.why));
      take(report);
    });
  });
  child.once('exit', () => {
    for (const one of pending.values()) one.reject(failed('The person was killed.'));
  });
  child.send(config);
  const ask = (question: Asked): Promise<unknown> => {
    asked += 1;
    const request = asked;
    return new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(failed('The person did not answer.')),
        requestTimeoutMs,
      );
      pending.set(request, { resolve, reject });
      child.send({ ...question, request }, (error) => {
        if (error !== null) reject(error);
      });
      timer.unref();
    }).finally(() => pending.delete(request));
  };
  return { child, gone, opened, ask };
}

type Waiter = {
  readonly fits: (message: ReceivedMessage) => boolean;
  readonly resolve: (message: ReceivedMessage) => void;
};

function createMemory() {
  const received: ReceivedMessage[] = [];
  const statuses: StatusUpdate[] = [];
  const notices: ConversationNotice[] = [];
  const waiters = new Set<Waiter>();
  return {
    received,
    statuses,
    notices,
    take(report: PersonReport) {
      if (report.report === 'status') statuses.push(report.status);
      if (report.report === 'notice') notices.push(report.notice);
      if (report.report !== 'message') return;
      received.push(report.message);
      for (const waiter of waiters) if (waiter.fits(report.message)) waiter.resolve(report.message);
    },
    waitFor: (fits: Waiter['fits'], timeoutMs: number) =>
      new Promise<ReceivedMessage>((resolve, reject) => {
        const found = received.find(fits);
        if (found !== undefined) {
          resolve(found);
          return;
        }
        const timer = setTimeout(() => {
          waiters.delete(waiter);
          reject(failed(`No such message within ${timeoutMs} ms.`));
        }, timeoutMs);
        const waiter: Waiter = {
          fits,
          resolve(message) {
            clearTimeout(timer);
            waiters.delete(waiter);
            resolve(message);
          },
        };
        waiters.add(waiter);
      }),
  };
}

/** Resolves when the person is registered and open. */
export async function personProcess(config: PersonConfig): Promise<PersonProcess> {
  const { received, statuses, notices, take, waitFor } = createMemory();
  let life = createLife(config, take);
  const end = async (signal: NodeJS.Signals) => {
    life.child.kill(signal);
    await life.gone;
  };
  const isRunning = () => life.child.exitCode === null && life.child.signalCode === null;
  await life.opened;
  const stop = async () => {
    if (isRunning()) await end('SIGTERM');
  };
  return {
    number: config.number,
    pid: () => (isRunning() ? life.child.pid : undefined),
    received,
    statuses,
    notices,
    waitFor: (fits, { timeoutMs = waitMsDefault } = {}) => waitFor(fits, timeoutMs),
    sendText: async (number, text) => String(await life.ask({ do: 'send-text', number, text })),
    answer: async (conversationId, text) =>
      String(await life.ask({ do: 'answer', conversationId, text })),
    history: (conversationId) => life.ask({ do: 'history', conversationId }),
    async settled() {
      await life.ask({ do: 'settled' });
    },
    kill: () => end('SIGKILL'),
    async start() {
      if (isRunning()) return;
      life = createLife(config, take);
      await life.opened;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
