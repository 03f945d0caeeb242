// The helpers other packages test with: cloned databases and the one-bucket proof, each also
// against what it must refuse or find.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { processesIn, waitUntil } from '../src/embedded/process-table.ts';
import {
  assertOneBucket,
  oneBucketProbe,
  type TestDatabase,
  testDatabase,
} from '../src/testing.ts';
import { ask } from './launching.ts';

const migrations = fileURLToPath(new URL('./one-bucket', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'siegel-testing-'));

afterAll(() => {
  rmSync(scratch, { recursive: true });
});

describe('the test server', () => {
  it('ends with its run, however the run ends', async () => {
    const script = `
      import { testServer } from '${new URL('../src/testing.ts', import.meta.url).href}';
      console.log((await testServer()).host);
      setInterval(() => {}, 1000);`;
    const loader = import.meta.resolve('tsx');
    const run = spawn(process.execPath, ['--import', loader, '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'] },
    });
    const [host] = await once(run.stdout, 'data');
    const cluster = dirname(String(host).trim());
    expect(processesIn(join(cluster, 'data')).length).toBeGreaterThan(0);
    run.kill('SIGKILL');
    const ended = () => !existsSync(dirname(cluster));
    expect(await waitUntil(ended, { timeoutMs: 20_000 })).toBe(true);
    expect(processesIn(join(cluster, 'data'))).toEqual([]);
  });
});

describe('testDatabase', () => {
  it('clones a migrated database for each caller, closed to the others and dropped', async () => {
    const [one, two] = await Promise.all([
      testDatabase({ migrations }),
      testDatabase({ migrations }),
    ]);
    await one.database.query('INSERT INTO boxes (bucket, box_id) VALUES (1, 1)');
    const count = 'SELECT count(*) AS boxes FROM boxes';
    expect((await one.database.query(count)).rows).toEqual([{ boxes: 1 }]);
    expect((await two.database.query(count)).rows).toEqual([{ boxes: 0 }]);
    await one.drop();
    await one.drop();
    await expect(ask(one.address, 'SELECT 1')).rejects.toMatchObject({ code: '3D000' });
    await two.drop();
  });

  it('makes a new template when a migration changes', async () => {
    const file = join(scratch, '0001-one.sql');
    for (const column of ['first', 'second']) {
      writeFileSync(file, `CREATE TABLE changing (${column} int);`);
      const test = await testDatabase({ migrations: scratch });
      await test.database.query(`SELECT ${column} FROM changing`);
      await test.drop();
    }
  });
});

async function oneBox({ database }: TestDatabase) {
  await database.query('INSERT INTO boxes (bucket, box_id) VALUES (1, 1)');
}

describe('one bucket', () => {
  const tables = ['boxes', 'notes'];

  async function filledProbe() {
    const probe = await oneBucketProbe({ migrations, tables, partitions: 8 });
    await probe.test.database.query(
      'INSERT INTO boxes (bucket, box_id) SELECT b, 1 FROM generate_series(0, 63) AS b',
    );
    await probe.test.database.query(
      "INSERT INTO notes SELECT b, 2, 1, '' FROM generate_series(0, 63) AS b",
    );
    return probe;
  }

  it('lets pass what stays in one partition, inside functions too', async () => {
    const probe = await filledProbe();
    const call = { text: 'SELECT put_note($1, $2, $3)', parameters: [7, 1, Buffer.from('x')] };
    await probe.assertOneBucket(call);
    const touches = await probe.touches(call);
    expect(touches.map(({ table }) => table)).toEqual(tables);
    await probe.assertOneBucket({
      text: 'SELECT body FROM notes WHERE bucket = $1 AND box_id = $2',
      parameters: [9, 2],
    });
    await probe.close();
  });

  it('finds planted breaches: scans, nested scans, inserts, two tables apart', async () => {
    const probe = await filledProbe();
    const breaches = [
      [{ text: 'SELECT 1 FROM notes WHERE box_id = $1 LIMIT 1', parameters: [2] }, /8 partitions/],
      [{ text: 'SELECT find_note($1)', parameters: [2] }, /8 partitions of notes/],
      [{ text: 'SELECT copy_note($1, 5)', parameters: [[1, 2, 3, 4, 5]] }, /partitions of notes/],
      [{ text: 'UPDATE boxes SET next_sequence = 2 WHERE box_id = 1' }, /8 partitions of boxes/],
      [{ text: 'SELECT 1 FROM siegel_unpartitioned.notes' }, /around its partitions/],
      [{ text: 'SELECT 1' }, /no hot table/],
    ] as const;
    for (const [statement, problem] of breaches) {
      await expect(probe.assertOneBucket(statement)).rejects.toThrow(problem);
    }
    const found: string[] = [];
    for (let bucket = 0; bucket < 8; bucket += 1) {
      const text = `SELECT 1 FROM boxes b, notes n WHERE b.bucket = 0 AND n.bucket = ${bucket}`;
      await probe.assertOneBucket({ text }).catch((error: Error) => found.push(error.message));
    }
    expect(found.join()).toMatch(/different partitions/);
    await probe.close();
  });

  it('names every breach of a list', async () => {
    const statements = [
      { name: 'good', text: 'SELECT put_note(1, 1, $1)', parameters: [Buffer.alloc(0)] },
      { name: 'bad', text: 'SELECT find_note(1)' },
    ];
    await assertOneBucket({
      migrations,
      tables,
      statements: statements.slice(0, 1),
      prepare: oneBox,
    });
    await expect(
      assertOneBucket({ migrations, tables, statements, prepare: oneBox }),
    ).rejects.toThrow(/one bucket/);
  });
});
