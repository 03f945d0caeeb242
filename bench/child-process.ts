// Runs one of the town's children, told its configuration over IPC as the town does, ended by its
// own number and nothing else.

import { fork } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import type { Profiler } from 'node:inspector/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { printSelfTimes } from './profile.ts';

export type RunningChild = {
  readonly pid: number;
  readonly url: string;
  /** SIGTERM, later SIGKILL. Idempotent; prints the profile when there is one. */
  readonly stop: () => Promise<void>;
};

const startSecondsMax = 30;
const stopSecondsMax = 8;

export async function startChild(plan: {
  readonly name: string;
  /** from the root of the repository; a source is run through tsx */
  readonly program: string;
  readonly config: unknown;
  readonly profile: boolean;
  /** all it says beside `ready` and `failure` */
  readonly onMessage?: (message: object) => void;
}): Promise<RunningChild> {
  const { name, program, config, profile } = plan;
  const folder = profile ? mkdtempSync(join(tmpdir(), 'siegel-bench-')) : undefined;
  const child = fork(fileURLToPath(new URL(`../${program}`, import.meta.url)), [], {
    execArgv: [
      ...(program.endsWith('.ts') ? ['--import', 'tsx'] : []),
      ...(folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`]),
    ],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let stopping: Promise<void> | undefined;
  const stop = async () => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), stopSecondsMax * 1000);
    await gone;
    clearTimeout(timer);
    if (folder !== undefined) printProfile(name, folder);
  };
  const ready = new Promise<string>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`${name} did not start within ${startSecondsMax} s`)),
      startSecondsMax * 1000,
    );
    child.on('message', (message: { type?: string; url?: string; failure?: string }) => {
      if (message.type !== 'ready' && message.type !== 'failure') {
        plan.onMessage?.(message);
        return;
      }
      clearTimeout(timer);
      if (message.url === undefined)
        reject(new Error(`${name}: ${message.failure ?? 'no address'}`));
      else resolve(message.url);
    });
    void gone.then(() => reject(new Error(`${name} ended while it started`)));
  });
  child.send({ type: 'config', config });
  const stopOnce = () => (stopping ??= stop());
  const url = await ready.catch(async (error: unknown) => {
    await stopOnce();
    throw error;
  });
  return { pid: child.pid!, url, stop: stopOnce };
}

function printProfile(name: string, folder: string): void {
  for (const file of readdirSync(folder).filter((one) => one.endsWith('.cpuprofile'))) {
    console.log(`\n  ${name}: ${join(folder, file)}`);
    const profile: Profiler.Profile = JSON.parse(readFileSync(join(folder, file), 'utf8'));
    printSelfTimes(profile);
  }
}
