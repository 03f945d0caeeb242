// What several processes do at once with one store and one key file, and a relay behind a proxy (S2, H2).

import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bucketOf, uuidInBucket } from '@siegel/protocol/ids';
import { requestCode } from '@siegel/protocol/relay';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadOperatorKeys } from '../src/operator-keys.ts';
import { spendQuota } from '../src/quotas.ts';
import { freshNumber, registerPerson } from './person.ts';
import { type RelayTest, requestFor, startTestRelay } from './relay-world.ts';

let town: RelayTest;
beforeAll(async () => {
  town = await startTestRelay();
});
afterAll(() => town.close());

describe('quotas', () => {
  const spend = (owner: string, amount: number, now: number) =>
    spendQuota(town.test.database, {
      ...{ owner: owner as Parameters<typeof spendQuota>[1]['owner'], quota: 'tried', amount },
      ...{ max: 10, windowSeconds: 60, now },
    });

  it('S2 parallel spenders never overspend', async () => {
    const owner = uuidInBucket(5, randomBytes(16));
    const spent = await Promise.all(Array.from({ length: 30 }, () => spend(owner, 1, 1000)));
    expect(spent.filter((one) => one.spent)).toHaveLength(10);
  });

  it('S2 a refusal spends nothing, and the next window begins anew', async () => {
    const owner = uuidInBucket(5, randomBytes(16));
    expect(await spend(owner, 8, 1000)).toEqual({ spent: true });
    expect(await spend(owner, 3, 1000)).toEqual({ spent: false, retryAfterSeconds: 59 });
    expect(await spend(owner, 2, 2000)).toEqual({ spent: true });
    expect(await spend(owner, 11, 2000)).toMatchObject({ spent: false });
    expect(await spend(owner, 10, 60_000)).toEqual({ spent: true });
  });
});

describe('operator keys', () => {
  it('H2 several starters end with the same keys, and an open file is refused', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'siegel-keys-'));
    const path = join(folder, 'deeper', 'keys.json');
    const loaded = await Promise.all(
      Array.from({ length: 5 }, () => loadOperatorKeys(path, randomBytes)),
    );
    expect(new Set(loaded.map(({ published }) => published[0]?.publicKey)).size).toBe(1);
    await chmod(path, 0o644);
    await expect(loadOperatorKeys(path, randomBytes)).rejects.toThrow('0600');
    await chmod(path, 0o600);
    await writeFile(path, '{"v":2}');
    await expect(loadOperatorKeys(path, randomBytes)).rejects.toThrow('backup');
    await rm(folder, { recursive: true });
  });
});

describe('behind a proxy', () => {
  it('A3 the address is the one our own proxy wrote, whatever a caller writes before it', async () => {
    const behind = await startTestRelay({ behindProxy: true, rateFactor: 1 });
    const ask = async (forwarded: string) => {
      const { path, init } = requestFor(requestCode, { number: freshNumber() });
      const headers = new Headers(init.headers);
      headers.set('x-forwarded-for', forwarded);
      const response = await behind.send(path, { ...init, headers });
      return ((await response.json()) as { outcome: string }).outcome;
    };
    for (let round = 0; round < 15; round += 1) {
      expect(await ask(`198.51.100.${round}, 192.0.2.1`)).toBe('code-sent');
    }
    expect(await ask('198.51.100.99, 192.0.2.1')).toBe('rate-limited');
    expect(await ask('198.51.100.99, 192.0.2.2')).toBe('code-sent');
    const metrics = await behind.send('/metrics', { headers: { 'x-forwarded-for': '192.0.2.1' } });
    expect(metrics.status).toBe(404);
    const operator = await behind.send('/metrics', {
      headers: {
        'x-forwarded-for': '192.0.2.1',
        authorization: `Bearer ${behind.operatorToken}`,
      },
    });
    expect(operator.status).toBe(200);
    await behind.close();
  });
});

describe('windows', () => {
  it('A6 a replaced account key closes every window of the old one', async () => {
    const alice = await registerPerson(town, { newPin: '314159' });
    const bucket = bucketOf(alice.accountId);
    const conversationId = uuidInBucket(bucket, randomBytes(16));
    const run = (text: string, values: unknown[]) => town.test.database.query(text, values);
    await run(
      `INSERT INTO conversations (bucket, conversation_id, kind, person_id, window_until, created_at)
       VALUES ($1, $2, 'business', $3, $4, 0)`,
      [bucket, conversationId, alice.accountId, town.clock.now + 86_400_000],
    );
    await run(
      `INSERT INTO account_conversations (bucket, account_id, conversation_id)
       VALUES ($1, $2, $3)`,
      [bucket, alice.accountId, conversationId],
    );
    await registerPerson(town, { number: alice.number, pin: '314159' });
    const { rows } = await town.test.database.query<{ window_until: number }>(
      'SELECT window_until FROM conversations WHERE conversation_id = $1',
      [conversationId],
    );
    expect(rows[0]?.window_until).toBeLessThanOrEqual(town.clock.now);
  });
});
