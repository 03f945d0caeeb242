// Migrations on a real database: order, transactions, concurrent starters, and what is refused.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { migrate } from '../src/index.ts';
import { type TestDatabase, testDatabase } from '../src/testing.ts';

let folder: string;
let test: TestDatabase;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'siegel-migrations-'));
  test = await testDatabase();
  write('0001-first.sql', 'CREATE TABLE steps (step int PRIMARY KEY);');
  write('0002-second.sql', 'INSERT INTO steps VALUES (1); INSERT INTO steps VALUES (2);');
});

afterEach(async () => {
  await test.drop();
  rmSync(folder, { recursive: true });
});

function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text);
}

async function steps(): Promise<unknown> {
  const { rows } = await test.database.query<{ step: number }>('SELECT step FROM steps');
  return rows.map(({ step }) => step);
}

it('runs files in order, once, and later only the new ones', async () => {
  expect(await migrate(test.database, folder)).toEqual(['0001-first', '0002-second']);
  expect(await migrate(test.database, folder)).toEqual([]);
  write('0003-third.sql', 'INSERT INTO steps VALUES (3);');
  expect(await migrate(test.database, folder)).toEqual(['0003-third']);
  expect(await steps()).toEqual([1, 2, 3]);
});

it('is safe when eight servers start at once', async () => {
  const starters = Array.from({ length: 8 }, () => migrate(test.database, folder));
  const applied = (await Promise.all(starters)).flat();
  expect(applied.sort()).toEqual(['0001-first', '0002-second']);
  expect(await steps()).toEqual([1, 2]);
});

it('keeps the files before a failing one and nothing of that one', async () => {
  write('0003-third.sql', 'INSERT INTO steps VALUES (3); INSERT INTO steps VALUES (1);');
  await expect(migrate(test.database, folder)).rejects.toMatchObject({
    code: 'migration-failed',
    sqlState: '23505',
    message: expect.stringContaining('0003-third'),
  });
  expect(await steps()).toEqual([1, 2]);
  write('0003-third.sql', 'INSERT INTO steps VALUES (3);');
  expect(await migrate(test.database, folder)).toEqual(['0003-third']);
});

it('refuses a file changed after it was applied, and one that is gone', async () => {
  await migrate(test.database, folder);
  write('0001-first.sql', 'CREATE TABLE steps (step bigint PRIMARY KEY);');
  await expect(migrate(test.database, folder)).rejects.toMatchObject({ code: 'migration-changed' });
  write('0001-first.sql', 'CREATE TABLE steps (step int PRIMARY KEY);');
  rmSync(join(folder, '0002-second.sql'));
  await expect(migrate(test.database, folder)).rejects.toMatchObject({ code: 'migration-missing' });
});

it('refuses gaps, bad names and transaction control before touching the database', async () => {
  const bad = [
    ['0004-gap.sql', 'SELECT 1'],
    ['0003_underscore.sql', 'SELECT 1'],
    ['0002-twice.sql', 'SELECT 1'],
    ['0003-commit.sql', 'SELECT 1;\nCOMMIT;'],
  ] as const;
  for (const [name, text] of bad) {
    write(name, text);
    await expect(migrate(test.database, folder)).rejects.toMatchObject({
      code: 'migration-invalid',
    });
    rmSync(join(folder, name));
  }
  await expect(steps()).rejects.toMatchObject({ code: 'query-failed', sqlState: '42P01' });
});
