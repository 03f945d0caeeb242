// The watch over one child: ready, died and started again with growing pauses, given up, ended; and
// whose processes are whose.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Child, type ChildEvent } from '../src/town/child.ts';
import { childLog } from '../src/town/child-log.ts';
import { endOrphans, writeChildren } from '../src/town/children-file.ts';
import { identify, isAlive, waitGone } from '../src/town/process-identity.ts';
import { takeProcessLock } from '../src/town/process-lock.ts';

let folder: string;
let children: Child[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'siegel-child-'));
  children = [];
});
afterEach(async () => {
  await Promise.all(children.map((child) => child.stop()));
  rmSync(folder, { recursive: true, force: true });
});

/** A child made of these lines of JavaScript. */
function make(script: string, config?: () => Promise<unknown>) {
  const events: ChildEvent[] = [];
  const path = join(folder, 'child.cjs');
  writeFileSync(path, script);
  const log = childLog(folder, 'child');
  const child = new Child(
    { name: 'child', command: [path], log, ...(config === undefined ? {} : { config }) },
    { onEvent: (event) => events.push(event), onIdentity: () => {} },
  );
  children.push(child);
  return { child, events, log };
}

const serving = `process.send({ type: 'ready', url: 'http://here' });
  process.on('disconnect', () => process.exit()); setInterval(() => {}, 1000);`;
const events = (list: ChildEvent[]) => list.map(({ event }) => event);

test('a child is ready when it says so, and is gone after its end', async () => {
  const { child } = make(serving);
  expect((await child.start()).url).toBe('http://here');
  const { identity } = child;
  expect(identity && isAlive(identity)).toBe(true);
  await child.stop();
  expect(identity && isAlive(identity)).toBe(false);
});

test('the configuration goes over IPC, never through arguments or environment', async () => {
  const { child, log } = make(
    `process.once('message', ({ config }) => {
      console.log(config.secret === 'hush', process.argv.join().includes('hush'),
        JSON.stringify(process.env).includes('hush'));
      ${serving} });`,
    async () => ({ secret: 'hush' }),
  );
  await child.start();
  expect(readFileSync(log.path, 'utf8').trim()).toBe('true false false');
});

test('a configuration that cannot be made fails the start', async () => {
  const { child } = make('setInterval(() => {}, 1000)', async () => {
    throw new RangeError('no database');
  });
  await expect(child.start()).rejects.toThrow('no database');
});

test('a child that cannot start says why', async () => {
  const { child } = make(`process.send({ type: 'failure', failure: 'the port is taken' });
    setTimeout(() => process.exit(1), 20);`);
  await expect(child.start()).rejects.toThrow('the port is taken');
});

test('a killed child is started again, and whoever waits gets the new one', async () => {
  const { child, events: seen } = make(serving);
  await child.start();
  const before = child.identity;
  child.kill();
  await expect.poll(() => events(seen)).toContain('died');
  await child.ready();
  expect(child.identity?.pid).not.toBe(before?.pid);
  expect(seen.find(({ event }) => event === 'died')).toMatchObject({ againInMs: 250 });
});

test('a child that dies again and again is given up after growing pauses, with its last words', async () => {
  const { child, events: seen } = make(
    `const fs = require('node:fs'); process.send({ type: 'ready' });
     console.log('last words'); setTimeout(() => process.exit(1), 5);`,
  );
  await child.start();
  await expect.poll(() => events(seen), { timeout: 25_000 }).toContain('gave-up');
  const pauses = seen.flatMap((one) => (one.event === 'died' ? [one.againInMs] : []));
  expect(pauses).toEqual([250, 500, 1000, 2000, 4000, 8000]);
  expect(seen.at(-1)).toMatchObject({ event: 'gave-up', tail: expect.stringContaining('words') });
}, 40_000);

test('a child that does not listen is ended all the same', async () => {
  const { child } = make(
    `process.on('SIGTERM', () => {}); process.send({ type: 'ready' }); setInterval(() => {}, 1000);`,
  );
  await child.start();
  const { identity } = child;
  await child.stop(200);
  expect(identity && isAlive(identity)).toBe(false);
});

test('orphans in the list are ended, a stranger with the same pid is not', async () => {
  const orphan = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true });
  const identity = identify(orphan.pid!)!;
  const path = join(folder, 'children.json');
  writeChildren(path, [identity, { pid: process.pid, started: 'long ago' }]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await endOrphans(path)).toBe(1);
  expect(await waitGone(identity, 2_000)).toBe(true);
  expect(await endOrphans(path)).toBe(0);
  writeFileSync(path, 'not JSON');
  expect(await endOrphans(path)).toBe(0);
});

test('a lock has one living holder; a dead one is replaced', () => {
  const path = join(folder, 'town.lock');
  const lock = takeProcessLock(path);
  expect(() => takeProcessLock(path)).toThrow(`process ${process.pid}`);
  lock.release();
  writeFileSync(path, JSON.stringify({ pid: process.pid, started: 'long ago' }));
  const again = takeProcessLock(path);
  expect(() => takeProcessLock(path)).toThrow();
  again.release();
});

test('a log that is full is moved aside, and the child writes on', async () => {
  const { child, log } = make(
    `process.on('message', () => console.log('after')); ${serving}`,
    async () => 'go',
  );
  writeFileSync(log.path, 'x'.repeat(11 * 1024 * 1024));
  log.trim();
  await child.start();
  await expect.poll(() => readFileSync(log.path, 'utf8')).toBe('after\n');
  expect(statSync(`${log.path}.1`).size).toBeGreaterThan(10 * 1024 * 1024);
});
