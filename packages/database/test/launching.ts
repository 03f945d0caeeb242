// Starts launch-child.ts as the present user, as nobody, or as root without user namespaces, and
// offers what tests want to know about it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Client } from 'pg';
import { identifyProcess, processesIn, waitUntil } from '../src/embedded/process-table.ts';
import type { DatabaseAddress } from '../src/index.ts';

export const isRoot = process.getuid?.() === 0;

export interface ChildReport {
  readonly pid: number;
  readonly adopted: boolean;
  readonly launchMode: string;
  readonly address: DatabaseAddress;
  readonly uid: number;
  readonly failure?: string;
  readonly message?: string;
}

export interface LaunchedChild {
  readonly report: ChildReport;
  readonly nodePid: number;
  /** kill -9 of the node process only. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export type As = 'self' | 'nobody' | 'root-without-namespaces';

const child = [
  process.execPath,
  '--import',
  pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href,
  fileURLToPath(new URL('./launch-child.ts', import.meta.url)),
];

/** Inside: all users as outside, but no further user namespace, like a default container. */
const withoutNamespaces =
  'read go; exec /bin/sh -c \'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"\' sh "$@"';

const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];

/** False below a home only root may enter: nobody could not read the program to run. */
export const nobodyCanLaunch =
  isRoot &&
  spawnSync('setpriv', [
    ...asNobody,
    '/bin/sh',
    '-c',
    'test -x "$0" && test -r "$1"',
    process.execPath,
    fileURLToPath(import.meta.url),
  ]).status === 0;

function commandAs(as: As): { file: string; args: string[] } {
  if (as === 'nobody') {
    return { file: 'setpriv', args: [...asNobody, ...child] };
  }
  if (as === 'self') return { file: process.execPath, args: child.slice(1) };
  return { file: 'unshare', args: ['-U', '/bin/sh', '-c', withoutNamespaces, 'sh', ...child] };
}

async function mapAllUsers(process_: ChildProcess): Promise<void> {
  // The maps can be written once the namespace exists, that is when the shell runs.
  const inside = await waitUntil(
    () => readFileSync(`/proc/${process_.pid}/comm`, 'utf8').trim() === 'sh',
    { timeoutMs: 5_000 },
  );
  if (!inside) throw new Error('the namespace did not come up');
  writeFileSync(`/proc/${process_.pid}/uid_map`, '0 0 4294967295');
  writeFileSync(`/proc/${process_.pid}/gid_map`, '0 0 4294967295');
  process_.stdin?.write('go\n');
}

export async function launch(
  home: string,
  name = 'relay',
  as: As = 'self',
): Promise<LaunchedChild> {
  const { file, args } = commandAs(as);
  const launched = spawn(file, [...args, home, name], {
    cwd: '/',
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'], TSX_DISABLE_CACHE: '1', TMPDIR: tmpdir() },
  });
  const gone = once(launched, 'exit');
  if (as === 'root-without-namespaces') await mapAllUsers(launched);
  const lines = createInterface(launched.stdout)[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.done) throw new Error('the launching process printed nothing');
  const report: ChildReport = JSON.parse(first.value);
  return {
    report,
    nodePid: launched.pid!,
    kill: async () => {
      launched.kill('SIGKILL');
      await gone;
    },
    stop: async () => {
      launched.stdin.end();
      await gone;
    },
  };
}

export function temporaryHome(): string {
  return mkdtempSync(join(tmpdir(), 'siegel-launch-'));
}

export function dataFolder(home: string, name = 'relay'): string {
  return join(home, name, 'data');
}

/** Ends what a failed test left in its home, then removes the home. */
export function clearHome(home: string, names: readonly string[] = ['relay']): void {
  for (const name of names) {
    for (const { pid } of processesIn(dataFolder(home, name))) process.kill(pid, 'SIGKILL');
  }
  rmSync(home, { recursive: true, force: true });
}

export function serversIn(home: string, name = 'relay'): number {
  return processesIn(dataFolder(home, name)).length;
}

export async function waitDead(pid: number): Promise<boolean> {
  return waitUntil(() => identifyProcess(pid) === undefined, { timeoutMs: 10_000 });
}

export async function ask(address: DatabaseAddress, text: string): Promise<unknown[]> {
  const client = new Client({ ...address });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}
