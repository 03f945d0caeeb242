// The town as `npm start` runs it: a process that serves, is killed, heals on its next start, and
// ends clean on a signal.
// And a person in the terminal, driven through a pipe.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { TownFile } from '@siegel/testkit';
import { afterAll, expect, test } from 'vitest';

const home = mkdtempSync(join(tmpdir(), 'siegel-process-'));
const running: ChildProcess[] = [];

/** The command from its sources, as bin/siegel.mjs runs it built. */
function siegel(args: readonly string[], environment: Record<string, string> = {}) {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const entry = JSON.stringify(new URL('../src/index.ts', import.meta.url).href);
  const code = `import { main } from ${entry}; await main(process.argv.slice(1));`;
  const node = ['--conditions=source', '--import', tsx, '--input-type=module', '--eval', code];
  const child = spawn(process.execPath, [...node, '--', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], SIEGEL_HOME: home, SIEGEL_PORT: '0', ...environment },
  });
  running.push(child);
  const said: string[] = [];
  child.stdout.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return { child, said: () => said.join(''), ended };
}

afterAll(async () => {
  for (const child of running) {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
  }
  await Promise.all(
    running.map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      await new Promise((resolve) => child.once('exit', resolve));
    }),
  );
  rmSync(home, { recursive: true, force: true });
}, 30_000);

const townPath = join(home, 'town.json');
const readTown = () => JSON.parse(readFileSync(townPath, 'utf8')) as TownFile;

async function untilReady(town: ReturnType<typeof siegel>): Promise<TownFile> {
  await expect
    .poll(() => existsSync(townPath) || town.child.exitCode !== null, { timeout: 150_000 })
    .toBe(true);
  expect(town.child.exitCode, town.said()).toBeNull();
  await expect.poll(town.said).toContain('Ctrl-C');
  return readTown();
}

/** Pids the supervisor wrote down, and those of the databases. */
function pidsOf(): number[] {
  const children = JSON.parse(readFileSync(join(home, 'children.json'), 'utf8')) as {
    pid: number;
  }[];
  const postmasters = ['relay', 'gateways'].flatMap((name) => {
    const file = join(home, `postgres-${name}`, 'data', 'postmaster.pid');
    return existsSync(file) ? [Number(readFileSync(file, 'utf8').split('\n')[0])] : [];
  });
  return [...children.map(({ pid }) => pid), ...postmasters];
}

/** What has ended but was not collected by its parent, whoever that is by now, is not alive. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

test('a killed supervisor takes its children along, the next start heals, a signal ends all', async () => {
  const first = siegel(['town']);
  const before = await untilReady(first);
  expect(first.said()).toContain(before.relay);
  expect(first.said()).toContain(`${before.businesses[0]!.cloudApi}/v25.0/`);
  for (const { accessToken } of before.businesses) expect(first.said()).not.toContain(accessToken);
  const pids = pidsOf();
  expect(pids.length).toBeGreaterThanOrEqual(9);
  expect(pids.every(isAlive)).toBe(true);
  first.child.kill('SIGKILL');
  await first.ended;

  const second = siegel(['town'], { LANG: 'de_DE.UTF-8' });
  await expect.poll(second.said, { timeout: 30_000 }).toContain('Die Stadt startet');
  await expect.poll(second.said, { timeout: 150_000 }).toContain('Die Stadt ist bereit.');
  const after = readTown();
  const ids = ({ businesses }: TownFile) => businesses.map(({ phoneNumberId }) => phoneNumberId);
  expect(ids(after)).toEqual(ids(before));

  const person = siegel(['demo-person', '--language', 'de', '--number', '+4917139200021']);
  person.child.stdin.end(
    `/to ${after.businesses[0]!.number}\nWie steht NW204?\n/wait 30\n/chats\n`,
  );
  expect(await person.ended, person.said()).toBe(0);
  expect(person.said()).toContain('Angemeldet als +4917139200021.');
  expect(person.said()).toContain('Laut Betreiberin: Nordwind Air GmbH, DE.');
  expect(person.said()).toContain('Nordwind Air · automatisch');
  expect(person.said()).toContain('NW204 von Hamburg nach Lissabon ist verspätet');

  const again = siegel(['demo-person', '--language', 'en', '--number', '+4917139200021']);
  again.child.stdin.end('/chats\n/chat 1\n/block\nhello\n/quit\n');
  expect(await again.ended, again.said()).toBe(0);
  expect(again.said()).toContain('Back as +4917139200021.');
  expect(again.said()).toContain('Nordwind Air is blocked and is not told.');

  const admin = siegel(['admin', 'templates', 'list']);
  expect(await admin.ended, admin.said()).toBe(0);
  expect(admin.said()).toContain('No template waits');

  const left = [...pids.filter(isAlive), ...pidsOf()];
  const started = performance.now();
  second.child.kill('SIGTERM');
  expect(await second.ended).toBe(0);
  expect(performance.now() - started).toBeLessThan(12_000);
  expect(second.said()).toContain('Beendet. Die Daten bleiben.');
  expect(left.filter(isAlive)).toEqual([]);
  expect(existsSync(townPath)).toBe(false);
}, 400_000);
