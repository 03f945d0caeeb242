// Sealed blobs and blocks over real HTTP (B1, B2, X1, X2).

import { createHash, randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { bucketOf } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import {
  blobPath,
  blobSecretHeader,
  block,
  createBlob,
  listBlocks,
  unblock,
} from '@siegel/protocol/relay';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readRange } from '../src/http/blob-octets.ts';
import { enrolBusiness, randomText, registerPerson, type TestPerson } from './person.ts';
import { failureOf, type RelayTest, startTestRelay } from './relay-world.ts';

let town: RelayTest;
let alice: TestPerson;
let bob: TestPerson;
beforeAll(async () => {
  town = await startTestRelay();
  alice = await registerPerson(town);
  bob = await registerPerson(town);
});
afterAll(() => town.close());

const hour = 3_600_000;
const day = 24 * hour;

async function reserve(bytes: number, person = alice) {
  const answer = await town.call(createBlob, { bytes }, person.token);
  if (answer.outcome !== 'created') throw new Error(answer.outcome);
  return answer;
}

const put = (blobId: string, body: Uint8Array, token = alice.token) =>
  town.send(blobPath(blobId), {
    method: 'PUT',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' },
    body: Buffer.from(body),
  });

const get = (blobId: string, secret: string, range?: string) =>
  town.send(blobPath(blobId), {
    headers: { [blobSecretHeader]: secret, ...(range === undefined ? {} : { range }) },
  });

async function stored(bytes = 1000) {
  const reserved = await reserve(bytes);
  const octets = randomBytes(bytes);
  expect((await put(reserved.blobId, octets)).status).toBe(204);
  return { ...reserved, octets };
}

describe('blobs', () => {
  it('B1 a day’s quota is checked before a byte is sent', async () => {
    const carol = await registerPerson(town);
    for (let round = 0; round < 5; round += 1) await reserve(limits.blobBytesMax, carol);
    const over = await town.call(createBlob, { bytes: 1 }, carol.token);
    expect(over).toMatchObject({ outcome: 'quota-reached' });
    town.clock.now += day;
    await reserve(limits.blobBytesMax, carol);
  });

  it('B1 an upload has exactly the reserved length, or nothing is kept', async () => {
    const { blobId, secret } = await reserve(1000);
    expect((await put(blobId, randomBytes(1001))).status).toBe(413);
    expect((await put(blobId, randomBytes(999))).status).toBe(400);
    expect((await get(blobId, secret)).status).toBe(404);
    expect(await readdir(join(town.folder, 'blobs', 'drafts')).catch(() => [])).toEqual([]);
    expect((await put(blobId, randomBytes(1000))).status).toBe(204);
    expect((await put(blobId, randomBytes(1000))).status).toBe(409);
  });

  it('B1 an upload of unknown length is counted while it comes', async () => {
    for (const [sent, status] of [
      [999, 400],
      [1001, 413],
      [1000, 204],
    ] as const) {
      const { blobId } = await reserve(1000);
      expect(await putChunked(blobId, sent)).toBe(status);
    }
  });

  function putChunked(blobId: string, bytes: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${alice.token}`,
        'content-type': 'application/octet-stream',
        'transfer-encoding': 'chunked',
      };
      const url = `${town.relay.url}${blobPath(blobId)}`;
      const sending = request(url, { method: 'PUT', headers }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sending.on('error', reject);
      for (let at = 0; at < bytes; at += 100) sending.write(randomBytes(Math.min(100, bytes - at)));
      sending.end();
    });
  }

  it('B1 an upload that breaks off keeps nothing and can be begun again', async () => {
    const { blobId } = await reserve(100_000);
    await new Promise<void>((resolve) => {
      const headers = {
        authorization: `Bearer ${alice.token}`,
        'content-type': 'application/octet-stream',
        'content-length': '100000',
      };
      const sending = request(`${town.relay.url}${blobPath(blobId)}`, { method: 'PUT', headers });
      sending.on('error', () => resolve());
      sending.write(randomBytes(50_000), () => sending.destroy());
    });
    await expect
      .poll(() => readdir(join(town.folder, 'blobs', 'drafts')).catch(() => []))
      .toEqual([]);
    expect((await put(blobId, randomBytes(100_000))).status).toBe(204);
  });

  it('B1 only its owner’s devices write a blob, with a token', async () => {
    const { blobId } = await reserve(10);
    const wrong = await put(blobId, randomBytes(10), bob.token);
    expect(await failureOf(wrong)).toEqual({ status: 404, code: 'not-found' });
    const none = await put(blobId, randomBytes(10), randomText(32));
    expect(await failureOf(none)).toEqual({ status: 401, code: 'unauthenticated' });
    const json = await town.send(blobPath(blobId), {
      method: 'PUT',
      headers: { authorization: `Bearer ${alice.token}`, 'content-type': 'application/json' },
      body: '{}',
    });
    expect(json.status).toBe(415);
  });

  it('B2 a blob is read with id and secret only, and its octets are what was sent', async () => {
    const { blobId, secret, octets } = await stored(70_000);
    const whole = await get(blobId, secret);
    expect(whole.status).toBe(200);
    expect(whole.headers.get('content-type')).toBe('application/octet-stream');
    expect(whole.headers.get('x-content-type-options')).toBe('nosniff');
    expect(Buffer.from(await whole.arrayBuffer()).equals(octets)).toBe(true);
    for (const [id, wrong] of [
      [blobId, randomText(16)],
      [blobId, ''],
      [randomText(16), secret],
      ['..%2f..%2fkeys.json', secret],
    ] as const) {
      expect(await failureOf(await get(id, wrong))).toEqual({ status: 404, code: 'not-found' });
    }
    const { rows } = await town.test.database.query<{ secret_hash: Buffer }>(
      'SELECT secret_hash FROM blobs WHERE blob_id = $1',
      [Buffer.from(blobId, 'base64url')],
    );
    const hash = createHash('sha256').update(Buffer.from(secret, 'base64url')).digest();
    expect(rows[0]?.secret_hash.equals(hash)).toBe(true);
  });

  it('B2 a range is answered with that part', async () => {
    const { blobId, secret, octets } = await stored(1000);
    const part = await get(blobId, secret, 'bytes=100-199');
    expect(part.status).toBe(206);
    expect(part.headers.get('content-range')).toBe('bytes 100-199/1000');
    expect(Buffer.from(await part.arrayBuffer()).equals(octets.subarray(100, 200))).toBe(true);
    const last = await get(blobId, secret, 'bytes=-10');
    expect(Buffer.from(await last.arrayBuffer()).equals(octets.subarray(990))).toBe(true);
    const beyond = await get(blobId, secret, 'bytes=1000-');
    expect(beyond.status).toBe(416);
    expect(beyond.headers.get('content-range')).toBe('bytes */1000');
    const several = await get(blobId, secret, 'bytes=0-1,5-6');
    expect(several.status).toBe(200);
  });

  it('B2 ranges of RFC 9110', () => {
    expect(readRange(undefined, 10)).toBeUndefined();
    expect(readRange('bytes=0-0', 10)).toEqual({ start: 0, end: 0 });
    expect(readRange('bytes=5-', 10)).toEqual({ start: 5, end: 9 });
    expect(readRange('bytes=5-99', 10)).toEqual({ start: 5, end: 9 });
    expect(readRange('bytes=-99', 10)).toEqual({ start: 0, end: 9 });
    expect(readRange('bytes=-0', 10)).toBe('unsatisfiable');
    expect(readRange('bytes=10-', 10)).toBe('unsatisfiable');
    expect(readRange('bytes=7-3', 10)).toBeUndefined();
    expect(readRange('bytes=-', 10)).toBeUndefined();
    expect(readRange('lines=1-2', 10)).toBeUndefined();
  });

  it('B2 a blob that no message refers to ends after 24 hours, its file too', async () => {
    const { blobId, secret } = await stored();
    town.clock.now += 24 * hour;
    expect((await get(blobId, secret)).status).toBe(404);
    await town.relay.runUpkeep();
    const name = Buffer.from(blobId, 'base64url').toString('hex');
    const files = await readdir(join(town.folder, 'blobs'), { recursive: true });
    expect(files.filter((file) => file.endsWith(name))).toEqual([]);
    const { rows } = await town.test.database.query('SELECT 1 FROM blobs WHERE blob_id = $1', [
      Buffer.from(blobId, 'base64url'),
    ]);
    expect(rows).toEqual([]);
  });
});

describe('blocks', () => {
  it('X1 a block is listed, stands where a conversation of the two would be, and is lifted', async () => {
    const { accountId } = bob;
    const request_ = () => town.call(block, { accountId }, alice.token);
    expect((await request_()).outcome).toBe('blocked');
    const since = town.clock.now;
    town.clock.now += 1000;
    expect((await request_()).outcome).toBe('blocked');
    const list = await town.call(listBlocks, {}, alice.token);
    expect(list).toEqual({ outcome: 'blocks', blocks: [{ accountId, since }] });
    expect(await bucketsWith(alice, bob)).toEqual(
      [...new Set([bucketOf(alice.accountId), bucketOf(bob.accountId)])].sort((a, b) => a - b),
    );
    expect((await town.call(unblock, { accountId }, alice.token)).outcome).toBe('unblocked');
    expect(await bucketsWith(alice, bob)).toEqual([]);
    expect((await town.call(unblock, { accountId }, alice.token)).outcome).toBe('unblocked');
  });

  async function bucketsWith(blocker: TestPerson, blocked: TestPerson) {
    const { rows } = await town.test.database.query<{ bucket: number }>(
      'SELECT bucket FROM blocks WHERE blocker = $1 AND blocked = $2 ORDER BY bucket',
      [blocker.accountId, blocked.accountId],
    );
    return rows.map(({ bucket }) => bucket);
  }

  it('X1 a business is blocked as an account, whatever its numbers', async () => {
    const bakery = await enrolBusiness(town);
    const { accountId } = bakery;
    expect((await town.call(block, { accountId }, bob.token)).outcome).toBe('blocked');
    const list = await town.call(listBlocks, {}, bob.token);
    expect(list.blocks.map((one) => one.accountId)).toEqual([accountId]);
  });

  it('X2 the blocked side sees nothing of it, and an unknown account is blocked alike', async () => {
    const carol = await registerPerson(town);
    await town.call(block, { accountId: bob.accountId }, carol.token);
    const seen = await town.call(listBlocks, {}, bob.token);
    expect(seen.blocks.map(({ accountId }) => accountId)).not.toContain(carol.accountId);
    const nobody = '00000000-0000-4000-8000-00000000000a' as typeof bob.accountId;
    const answer = await town.call(block, { accountId: nobody }, carol.token);
    expect(answer).toEqual({ outcome: 'blocked' });
    const own = town.call(block, { accountId: carol.accountId }, carol.token);
    await expect(own).rejects.toThrow('request-invalid');
  });
});
