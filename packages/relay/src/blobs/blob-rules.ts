// Reserving, writing and reading sealed blobs (B1, B2). Raw octets travel beside the JSON contract; their answers are named
// here and given statuses in `http/`.

import { timingSafeEqual } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { AccountId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import { BlobId, BlobSecret, type createBlob } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import { hashSecret } from '../device-token.ts';
import type { Events } from '../events.ts';
import type { DeviceCaller, Rule } from '../http/route.ts';
import { toBytes, toText } from '../octets.ts';
import { spendQuota } from '../quotas.ts';
import {
  attach,
  type BlobFolder,
  type Draft,
  deleteBlobs,
  insertBlob,
  noteWritten,
  readBlob,
  readExpired,
} from './blob-store.ts';

export type BlobPorts = BasePorts & { readonly folder: BlobFolder; readonly events: Events };

const daySeconds = 86_400;
const hourMs = 3_600_000;

export const reserveBlob =
  ({ database, now, random }: BlobPorts): Rule<typeof createBlob> =>
  async ({ accountId: owner }, { bytes }) => {
    const quota = await spendQuota(database, {
      ...{ owner, quota: 'blob-bytes', amount: bytes, max: limits.blobBytesPerDay },
      windowSeconds: daySeconds,
      now: now(),
    });
    if (!quota.spent) {
      return { outcome: 'quota-reached', retryAfterSeconds: quota.retryAfterSeconds };
    }
    const id = Buffer.from(random(16));
    const secret = Buffer.from(random(16));
    const expiresAt = now() + limits.blobOrphanHours * hourMs;
    await insertBlob(database, { id, owner, secretHash: hashSecret(secret), bytes, expiresAt });
    return { outcome: 'created', blobId: toText(id), secret: toText(secret), expiresAt };
  };

export type Upload = {
  readonly blobId: string;
  /** As declared beforehand; undefined for a body of unknown length. */
  readonly declaredBytes: number | undefined;
  readonly octets: AsyncIterable<Uint8Array>;
};

export type WriteOutcome = 'written' | 'not-found' | 'already-written' | 'too-long' | 'too-short';

class WrongLength extends Error {
  readonly outcome: 'too-long' | 'too-short';
  constructor(outcome: 'too-long' | 'too-short') {
    super(outcome);
    this.outcome = outcome;
  }
}

/** Exactly the reserved length, or nothing is kept (B1). */
export const writeBlob =
  ({ database, now, folder }: BlobPorts) =>
  async (caller: DeviceCaller, upload: Upload): Promise<WriteOutcome> => {
    if (!BlobId.safeParse(upload.blobId).success) return 'not-found';
    const id = toBytes(upload.blobId);
    const blob = await readBlob(database, id, now());
    if (blob === undefined || blob.owner !== caller.accountId) return 'not-found';
    if (blob.written) return 'already-written';
    const declared = upload.declaredBytes ?? blob.bytes;
    if (declared !== blob.bytes) return declared > blob.bytes ? 'too-long' : 'too-short';
    let draft: Draft;
    try {
      draft = await folder.draft(id, exactly(upload.octets, blob.bytes));
    } catch (error) {
      if (error instanceof WrongLength) return error.outcome;
      throw error;
    }
    const isFirst = await database.transaction(async (transaction) => {
      if (!(await noteWritten(transaction, id))) return false;
      await draft.keep();
      return true;
    });
    if (!isFirst) await draft.drop();
    return isFirst ? 'written' : 'already-written';
  };

async function* exactly(octets: AsyncIterable<Uint8Array>, bytes: number) {
  let left = bytes;
  for await (const chunk of octets) {
    left -= chunk.length;
    if (left < 0) throw new WrongLength('too-long');
    yield chunk;
  }
  if (left > 0) throw new WrongLength('too-short');
}

export type FoundBlob = {
  readonly bytes: number;
  readonly read: (range: { start: number; end: number }) => Readable;
};

/** A wrong secret, an unknown and an expired id are one answer (B2). */
export const findBlob =
  ({ database, now, folder }: BlobPorts) =>
  async (blobId: string, secret: string): Promise<FoundBlob | undefined> => {
    if (!BlobId.safeParse(blobId).success || !BlobSecret.safeParse(secret).success) {
      return undefined;
    }
    const id = toBytes(blobId);
    const blob = await readBlob(database, id, now());
    if (blob === undefined || !blob.written) return undefined;
    if (!timingSafeEqual(blob.secret_hash, hashSecret(toBytes(secret)))) return undefined;
    return { bytes: blob.bytes, read: (range) => folder.read(id, range) };
  };

export const attachBlobs =
  ({ database, now }: BlobPorts) =>
  async (owner: AccountId, blobIds: readonly string[]): Promise<void> => {
    if (blobIds.length === 0) return;
    const expiresAt = now() + limits.blobRetentionDays * daySeconds * 1000;
    await attach(database, { owner, ids: blobIds.map(toBytes), now: now(), expiresAt });
  };

const sweptAtOnce = 500;

/** Files first: a row without a file is found again, a file without a row never would be. */
export async function sweepBlobs({ database, now, folder, events }: BlobPorts): Promise<void> {
  for (;;) {
    const ids = await readExpired(database, now(), sweptAtOnce);
    for (const id of ids) await folder.remove(id);
    if (ids.length > 0) {
      await deleteBlobs(database, ids);
      events.swept('blobs', ids.length);
    }
    if (ids.length < sweptAtOnce) return;
  }
}
