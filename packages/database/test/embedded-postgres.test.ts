// The embedded launcher against real processes: starts, orphans, clashes, and what it refuses.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { identifyProcess, waitUntil } from '../src/embedded/process-table.ts';
import {
  addressUrl,
  type ClusterEvent,
  connectDatabase,
  ensureDatabase,
  startEmbeddedPostgres,
} from '../src/index.ts';
import {
  ask,
  clearHome,
  dataFolder,
  isRoot,
  launch,
  nobodyCanLaunch,
  serversIn,
  temporaryHome,
  waitDead,
} from './launching.ts';

let home: string;
const names = ['relay', 'gateways'];

beforeEach(() => {
  home = temporaryHome();
});

afterEach(() => {
  clearHome(home, names);
});

const mode = (path: string) => statSync(path).mode & 0o777;

describe('starting', () => {
  it('starts first, keeps its data for the second start, and leaves no process', async () => {
    const first = await startEmbeddedPostgres({ home, name: 'relay' });
    const address = await ensureDatabase(first, { database: 'relay', role: 'relay' });
    await ask(address, 'CREATE TABLE kept (a int); INSERT INTO kept VALUES (1)');
    await first.stop();
    expect(serversIn(home)).toBe(0);
    const second = await startEmbeddedPostgres({ home, name: 'relay' });
    expect(second.adopted).toBe(false);
    expect(await ask(address, 'SELECT a FROM kept')).toEqual([{ a: 1 }]);
    expect(await ask(address, 'SHOW fsync')).toEqual([{ fsync: 'on' }]);
    await second.stop();
    await second.stop();
    expect(serversIn(home)).toBe(0);
  });

  it('listens on no port, and its files are closed to others', async () => {
    const cluster = await startEmbeddedPostgres({ home, name: 'relay' });
    const { host } = cluster.administrator();
    const listen = await ask(cluster.administrator(), 'SHOW listen_addresses');
    expect(listen).toEqual([{ listen_addresses: '' }]);
    for (const folder of [join(home, 'relay'), dataFolder(home), host]) {
      expect(mode(folder)).toBe(0o700);
    }
    for (const file of [cluster.logFile, join(dataFolder(home), 'pg_hba.conf')]) {
      expect(mode(file)).toBe(0o600);
    }
    await cluster.stop();
  });

  it('writes neither statements nor values nor client errors to its log', async () => {
    const cluster = await startEmbeddedPostgres({ home, name: 'relay' });
    const address = await ensureDatabase(cluster, { database: 'relay', role: 'relay' });
    await ask(address, 'CREATE TABLE t (a text PRIMARY KEY)');
    await ask(address, "INSERT INTO t VALUES ('geheim-1')");
    for (const text of ["INSERT INTO t VALUES ('geheim-1')", "SELECT 'geheim-2'::int"]) {
      await expect(ask(address, text)).rejects.toThrow();
    }
    await cluster.stop();
    const log = readFileSync(cluster.logFile, 'utf8');
    expect(log).toContain('ready to accept connections');
    expect(log).not.toContain('geheim');
  });

  it('moves its socket to a short private folder when the home is deep', async () => {
    const deep = join(home, 'x'.repeat(60), 'y'.repeat(60));
    const cluster = await startEmbeddedPostgres({ home: deep, name: 'relay' });
    const { host } = cluster.administrator();
    expect(host.startsWith(deep)).toBe(false);
    expect(mode(host)).toBe(0o700);
    expect(await ask(cluster.administrator(), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await cluster.stop();
    rmSync(host, { recursive: true });
  });

  it('is reached by URL too', async () => {
    const cluster = await startEmbeddedPostgres({ home, name: 'relay' });
    const address = await ensureDatabase(cluster, { database: 'relay', role: 'relay' });
    const database = connectDatabase(addressUrl(address));
    const { rows } = await database.query('SELECT current_user AS who');
    expect(rows).toEqual([{ who: 'relay' }]);
    await database.close();
    await cluster.stop();
  });

  it('starts again by itself when PostgreSQL is killed, and the pool heals', async () => {
    const events: ClusterEvent[] = [];
    const cluster = await startEmbeddedPostgres({
      home,
      name: 'relay',
      onEvent: (event) => events.push(event),
    });
    const database = connectDatabase(cluster.administrator());
    await database.query('SELECT 1');
    const killed = cluster.pid();
    process.kill(killed, 'SIGKILL');
    const restarted = () => events.some((event) => event.kind === 'restarted');
    expect(await waitUntil(restarted, { timeoutMs: 20_000 })).toBe(true);
    expect(cluster.pid()).not.toBe(killed);
    await database.query('SELECT 1');
    await database.close();
    await cluster.stop();
    expect(serversIn(home)).toBe(0);
  });
});

describe('two clusters in one home', () => {
  it('run side by side, and roles cannot reach each other', async () => {
    const relay = await startEmbeddedPostgres({ home, name: 'relay' });
    const gateways = await startEmbeddedPostgres({ home, name: 'gateways' });
    expect(relay.pid()).not.toBe(gateways.pid());
    await ensureDatabase(relay, { database: 'relay', role: 'relay' });
    const bakery = await ensureDatabase(gateways, { database: 'bakery', role: 'bakery' });
    const bank = await ensureDatabase(gateways, { database: 'bank', role: 'bank' });
    // Idempotent, also when called at once.
    const again = () => ensureDatabase(gateways, { database: 'bank', role: 'bank' });
    expect(await Promise.all([again(), again(), again()])).toEqual([bank, bank, bank]);
    expect(await ask(bank, 'CREATE TABLE t (a int)')).toEqual([]);
    for (const database of ['bank', 'postgres', 'template1']) {
      await expect(ask({ ...bakery, database }, 'SELECT 1')).rejects.toMatchObject({
        code: '42501',
      });
    }
    await expect(
      ask({ ...bakery, host: relay.administrator().host }, 'SELECT 1'),
    ).rejects.toMatchObject({ code: '28000' });
    await expect(
      ensureDatabase(gateways, { database: 'bank', role: 'bakery' }),
    ).rejects.toMatchObject({ code: 'database-owned-by-other' });
    await expect(
      ensureDatabase(gateways, { database: 'x"; DROP', role: 'bakery' }),
    ).rejects.toMatchObject({ code: 'name-invalid' });
    await relay.stop();
    expect(await ask(bank, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await gateways.stop();
  });
});

describe('leftovers', () => {
  it('adopts the orphan of a killed node process', async () => {
    const child = await launch(home);
    await child.kill();
    expect(identifyProcess(child.report.pid)).toBeDefined();
    const cluster = await startEmbeddedPostgres({ home, name: 'relay' });
    expect([cluster.adopted, cluster.pid()]).toEqual([true, child.report.pid]);
    await cluster.stop();
    expect(serversIn(home)).toBe(0);
  });

  it('replaces an orphan that runs with other settings', async () => {
    const child = await launch(home);
    await child.kill();
    const cluster = await startEmbeddedPostgres({ home, name: 'relay', connectionsMax: 33 });
    expect(cluster.adopted).toBe(false);
    expect(cluster.pid()).not.toBe(child.report.pid);
    const shown = await ask(cluster.administrator(), 'SHOW max_connections');
    expect(shown).toEqual([{ max_connections: '33' }]);
    await cluster.stop();
  });

  it('starts after node and PostgreSQL were both killed, five times, losing nothing', async () => {
    for (let round = 0; round < 5; round += 1) {
      const child = await launch(home);
      await ask(child.report.address, 'CREATE TABLE IF NOT EXISTS kept (a int)');
      await ask(child.report.address, `INSERT INTO kept VALUES (${round})`);
      const killed = child.kill();
      process.kill(child.report.pid, 'SIGKILL');
      await killed;
      expect(child.report.adopted).toBe(false);
    }
    const child = await launch(home);
    const rows = await ask(child.report.address, 'SELECT count(*)::int AS kept FROM kept');
    expect(rows).toEqual([{ kept: 5 }]);
    await child.stop();
    expect(serversIn(home)).toBe(0);
  }, 60_000);

  it('is not stopped by stale files that name a living stranger', async () => {
    const first = await startEmbeddedPostgres({ home, name: 'relay' });
    const { host } = first.administrator();
    await first.stop();
    const stranger = createServer();
    const socket = join(host, '.s.PGSQL.5432');
    await new Promise<void>((resolve) => stranger.listen(socket, resolve));
    const claim = `${process.pid}\n${dataFolder(home)}\n1\n5432\n${host}\n`;
    writeFileSync(`${socket}.lock`, claim);
    writeFileSync(join(dataFolder(home), 'postmaster.pid'), claim);
    writeFileSync(join(home, 'relay', 'launcher.lock'), '{"pid":1,"startTick":"never"}');
    const second = await startEmbeddedPostgres({ home, name: 'relay' });
    expect(await ask(second.administrator(), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    stranger.close();
    await second.stop();
  });

  it('begins anew when a first start was cut off half way', async () => {
    const half = join(home, 'relay', 'data.initializing');
    mkdirSync(half, { recursive: true });
    writeFileSync(join(half, 'PG_VERSION'), '18');
    const cluster = await startEmbeddedPostgres({ home, name: 'relay' });
    expect(existsSync(half)).toBe(false);
    await cluster.stop();
  });

  it('leaves no server behind when node ends without stopping it', async () => {
    const child = await launch(home);
    process.kill(child.nodePid, 'SIGTERM');
    await waitDead(child.nodePid);
    // SIGTERM without a handler ends node without its exit hooks: the next start cleans up.
    const next = await startEmbeddedPostgres({ home, name: 'relay' });
    await next.stop();
    expect(serversIn(home)).toBe(0);
  });
});

describe('refusals', () => {
  it('refuses a cluster that a living process runs', async () => {
    const child = await launch(home);
    await expect(startEmbeddedPostgres({ home, name: 'relay' })).rejects.toMatchObject({
      code: 'embedded-in-use',
    });
    await child.stop();
  });

  it('refuses a data folder of another major version', async () => {
    const cluster = await startEmbeddedPostgres({ home, name: 'relay' });
    await cluster.stop();
    writeFileSync(join(dataFolder(home), 'PG_VERSION'), '15\n');
    await expect(startEmbeddedPostgres({ home, name: 'relay' })).rejects.toMatchObject({
      code: 'embedded-version-mismatch',
    });
  });

  it('refuses names that are paths', async () => {
    await expect(startEmbeddedPostgres({ home, name: '../x' })).rejects.toMatchObject({
      code: 'name-invalid',
    });
  });

  it('refuses a socket folder that is none, and says why a broken setup fails', async () => {
    mkdirSync(join(home, 'relay'));
    writeFileSync(join(home, 'relay', 'socket'), '');
    await expect(startEmbeddedPostgres({ home, name: 'relay' })).rejects.toMatchObject({
      code: 'embedded-folder-unsafe',
    });
    rmSync(join(home, 'relay', 'socket'));
    await expect(
      startEmbeddedPostgres({ home, name: 'relay', connectionsMax: -1 }),
    ).rejects.toMatchObject({ code: 'embedded-start-failed' });
    expect(serversIn(home)).toBe(0);
  });
});

describe('as root below a closed home', () => {
  it('runs in a user namespace (needs root; otherwise this is the plain mode)', async () => {
    chmodSync(home, 0o700);
    const child = await launch(home);
    expect(child.report.launchMode).toBe(isRoot ? 'user-namespace' : 'plain');
    await child.stop();
    expect(serversIn(home)).toBe(0);
  });

  it.runIf(isRoot)(
    'runs as nobody where namespaces are forbidden (needs root)',
    async () => {
      chmodSync(home, 0o700);
      const first = await launch(home, 'relay', 'root-without-namespaces');
      expect(first.report).toMatchObject({ launchMode: 'nobody', adopted: false });
      expect(statSync(dataFolder(home)).uid).toBe(65534);
      await first.kill();
      // A launcher that is not allowed to look at the living server must not tear it down.
      const blind = await launch(home, 'relay', 'root-without-namespaces');
      expect(blind.report.failure).toBe('embedded-start-failed');
      const pidFile = readFileSync(join(dataFolder(home), 'postmaster.pid'), 'utf8');
      expect(Number(pidFile.split('\n')[0])).toBe(first.report.pid);
      // Its files stay nobody's, also where namespaces are allowed.
      const second = await startEmbeddedPostgres({ home, name: 'relay' });
      expect([second.launchMode, second.adopted, second.pid()]).toEqual([
        'nobody',
        true,
        first.report.pid,
      ]);
      await second.stop();
      expect(serversIn(home)).toBe(0);
      const third = await launch(home, 'relay', 'root-without-namespaces');
      expect(third.report).toMatchObject({ launchMode: 'nobody', adopted: false });
      await third.stop();
      rmSync(third.report.address.host, { recursive: true });
    },
    60_000,
  );

  it.runIf(isRoot)(
    'hands data to nobody when namespaces get forbidden (needs root)',
    async () => {
      const before = await startEmbeddedPostgres({ home, name: 'relay' });
      await ensureDatabase(before, { database: 'child', role: 'child' });
      await before.stop();
      const after = await launch(home, 'relay', 'root-without-namespaces');
      expect(after.report.launchMode).toBe('nobody');
      await after.stop();
      rmSync(after.report.address.host, { recursive: true });
    },
    60_000,
  );
});

describe('as an ordinary user', () => {
  it.runIf(nobodyCanLaunch)(
    'adopts its orphan, admits no one else (needs root and a clone nobody can read)',
    async () => {
      const { chownSync } = await import('node:fs');
      chownSync(home, 65534, 65534);
      const first = await launch(home, 'relay', 'nobody');
      expect(first.report).toMatchObject({ launchMode: 'plain', uid: 65534 });
      // Root may open the socket file, but the server asks the kernel who it is.
      await expect(ask(first.report.address, 'SELECT 1')).rejects.toMatchObject({ code: '28000' });
      await first.kill();
      const second = await launch(home, 'relay', 'nobody');
      expect(second.report).toMatchObject({ pid: first.report.pid, adopted: true });
      await second.stop();
      expect(serversIn(home)).toBe(0);
      await expect(startEmbeddedPostgres({ home, name: 'relay' })).rejects.toMatchObject({
        code: 'embedded-folder-unsafe',
      });
    },
    60_000,
  );
});
