// One child process of the town: started, watched, started again with growing pauses when it dies
// by itself, and ended in order.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { SiegelError } from '@siegel/protocol/errors';
import type { ChildLog } from './child-log.ts';
import { endProcess, identify, type ProcessIdentity } from './process-identity.ts';

export type ChildPlan = {
  readonly name: string;
  /** node's own arguments: loader, script */
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /**
   * Sent over IPC when it is known; secrets travel here, never in arguments. A child may be spawned
   * before, so that its
   * modules load while others still start.
   */
  readonly config?: () => Promise<unknown>;
  readonly log: ChildLog;
};

export type ChildEvent =
  | { readonly child: string; readonly event: 'ready' }
  | { readonly child: string; readonly event: 'died'; readonly againInMs: number }
  | { readonly child: string; readonly event: 'gave-up'; readonly tail: string };

export type ChildPorts = {
  readonly onEvent: (event: ChildEvent) => void;
  /** called whenever a pid came or went, before anything else */
  readonly onIdentity: () => void;
};

/** What a child says when it serves. */
export type Ready = { readonly type: 'ready'; readonly url?: string };

const startTimeoutMs = 60_000;
const stopGraceMs = 3_000;
const firstPauseMs = 250;
const pauseMsMax = 10_000;
const deathsInARowMax = 6;
/** Living this long forgives earlier deaths. */
const quietMs = 60_000;

const isReady = (message: unknown): message is Ready =>
  typeof message === 'object' && message !== null && 'type' in message && message.type === 'ready';

const failureOf = (message: unknown): string | undefined =>
  typeof message === 'object' && message !== null && 'failure' in message
    ? String(message.failure)
    : undefined;

export class Child {
  readonly name: string;
  readonly #plan: ChildPlan;
  readonly #ports: ChildPorts;
  #process: ChildProcess | undefined;
  #identity: ProcessIdentity | undefined;
  #wanted = false;
  #deaths = 0;
  #timers = new Set<NodeJS.Timeout>();
  #readiness: Promise<Ready> | undefined;

  constructor(plan: ChildPlan, ports: ChildPorts) {
    this.name = plan.name;
    this.#plan = plan;
    this.#ports = ports;
  }

  /** Undefined while it is not running. */
  get identity(): ProcessIdentity | undefined {
    return this.#identity;
  }

  /**
   * Resolves when the child says that it serves. A death before that is an error, not a reason to
   * try again.
   */
  start(): Promise<Ready> {
    this.#wanted = true;
    this.#readiness = this.#spawn();
    return this.#readiness;
  }

  /** For a start after `stop`; forgives earlier deaths. */
  restart(): Promise<Ready> {
    this.#deaths = 0;
    return this.start();
  }

  /** Resolves when the newest process of this child serves; rejects when none is coming. */
  async ready(): Promise<Ready> {
    if (this.#readiness === undefined) throw this.#failure('is not started');
    return this.#readiness;
  }

  async stop(graceMs = stopGraceMs): Promise<void> {
    this.#wanted = false;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    const identity = this.#identity;
    if (identity !== undefined) await endProcess(identity, graceMs);
    this.#forget();
  }

  /** As a crash would: no warning, and the watch sees to the rest. */
  kill(): void {
    if (this.#identity !== undefined) process.kill(this.#identity.pid, 'SIGKILL');
  }

  #failure(why: string): SiegelError {
    return new SiegelError('internal', `${this.name} ${why}; see ${this.#plan.log.path}`);
  }

  #forget(): void {
    this.#process = undefined;
    this.#identity = undefined;
    this.#ports.onIdentity();
  }

  #later(run: () => void, afterMs: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, afterMs);
    timer.unref();
    this.#timers.add(timer);
  }

  #spawn(): Promise<Ready> {
    const { command, environment, config, log } = this.#plan;
    const output = log.open();
    const child = spawn(process.execPath, command, {
      // A session of its own: Ctrl-C reaches the town, which then ends its children in order.
      detached: true,
      stdio: ['ignore', output, output, 'ipc'],
      env: { ...plainEnvironment(), ...environment },
    });
    closeSync(output);
    this.#process = child;
    this.#identity = child.pid === undefined ? undefined : identify(child.pid);
    this.#ports.onIdentity();
    const ready = this.#watch(child);
    if (config === undefined) return ready;
    const sent = config().then((value) => {
      if (child.connected) child.send({ type: 'config', config: value }, () => {});
    });
    return Promise.race([ready, sent.then(() => ready)]);
  }

  #watch(child: ChildProcess): Promise<Ready> {
    return new Promise((resolve, reject) => {
      let served = false;
      const timer = setTimeout(() => {
        reject(this.#failure('did not become ready'));
        child.kill('SIGKILL');
      }, startTimeoutMs);
      child.on('message', (message) => {
        const why = failureOf(message);
        if (why !== undefined) reject(this.#failure(`could not start: ${why}`));
        if (!isReady(message)) return;
        served = true;
        clearTimeout(timer);
        this.#ports.onEvent({ child: this.name, event: 'ready' });
        this.#later(() => {
          this.#deaths = 0;
        }, quietMs);
        resolve(message);
      });
      child.on('error', () => {});
      child.once('exit', () => {
        clearTimeout(timer);
        reject(this.#failure('ended while starting'));
        if (this.#process !== child) return;
        this.#forget();
        if (this.#wanted && (served || this.#deaths > 0)) this.#died();
      });
    });
  }

  #died(): void {
    this.#deaths += 1;
    if (this.#deaths > deathsInARowMax) {
      this.#wanted = false;
      const tail = this.#plan.log.tail();
      this.#ports.onEvent({ child: this.name, event: 'gave-up', tail });
      return;
    }
    const againInMs = Math.min(firstPauseMs * 2 ** (this.#deaths - 1), pauseMsMax);
    this.#ports.onEvent({ child: this.name, event: 'died', againInMs });
    const next = new Promise<Ready>((resolve, reject) => {
      this.#later(() => {
        if (this.#wanted) this.#spawn().then(resolve, reject);
        else reject(this.#failure('is stopped'));
      }, againInMs);
    });
    // Whoever waits sees the failure; nobody has to.
    next.catch(() => {});
    this.#readiness = next;
  }
}

/** Of the own environment only what a program needs to run: no address, no secret. */
function plainEnvironment(): Record<string, string> {
  const names = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'NODE_ENV', 'NATS_URL'];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
