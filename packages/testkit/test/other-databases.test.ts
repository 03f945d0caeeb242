// A town on databases that somebody else runs: they win over the embedded ones, and each firm has one of its own.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addressUrl, connectDatabase } from '@siegel/database';
import { testServer } from '@siegel/database/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { person, startTown } from '../src/index.ts';

const home = mkdtempSync(join(tmpdir(), 'siegel-elsewhere-'));
const suffix = randomBytes(4).toString('hex');
const names = { relay: `town_relay_${suffix}`, poor: `town_poor_${suffix}` };
let urls: { relay: string; gateways: string; poor: string };

async function asAdministrator(...statements: string[]): Promise<void> {
  const database = connectDatabase(addressUrl(await testServer()), { poolMax: 1 });
  for (const statement of statements) await database.query(statement);
  await database.close();
}

beforeAll(async () => {
  const administrator = await testServer();
  await asAdministrator(
    `CREATE DATABASE ${names.relay}`,
    `CREATE ROLE ${names.poor} LOGIN NOCREATEDB`,
  );
  urls = {
    relay: addressUrl({ ...administrator, database: names.relay }),
    gateways: addressUrl(administrator),
    poor: addressUrl({ ...administrator, user: names.poor }),
  };
}, 120_000);

afterAll(async () => {
  await asAdministrator(
    `DROP DATABASE IF EXISTS ${names.relay} WITH (FORCE)`,
    'DROP DATABASE IF EXISTS siegel_gateway_postwagen WITH (FORCE)',
    `DROP ROLE IF EXISTS ${names.poor}`,
  );
  rmSync(home, { recursive: true, force: true });
}, 60_000);

const start = (gatewayDatabaseUrl: string) =>
  startTown(
    {
      ...{ home, port: 0, host: '127.0.0.1', behindProxy: false, firms: ['postwagen'] },
      databaseUrl: urls.relay,
      gatewayDatabaseUrl,
    },
    { random: randomBytes },
  );

test('a role that may not create databases is told what it needs, and nothing is left running', async () => {
  await expect(start(urls.poor)).rejects.toThrow('CREATEDB');
  expect(existsSync(join(home, 'town.lock'))).toBe(false);
}, 60_000);

test('the town runs on them, with no server of its own', async () => {
  await using town = await start(urls.gateways);
  const names = town.processes().map(({ name }) => name);
  expect(names.toSorted()).toEqual(['bot-postwagen', 'gateway-postwagen', 'relay']);
  expect(existsSync(join(home, 'postgres-relay'))).toBe(false);
  const { relay, smsInbox, businesses } = town.file;
  await using alice = await person({ relay, smsInbox, number: '+4917139200031' });
  await alice.sendTextToNumber(businesses[0]!.number, 'PW9001');
  await alice.waitFor(({ content: { body } }) => body.type === 'text' && /PW9001/.test(body.text));
}, 120_000);
