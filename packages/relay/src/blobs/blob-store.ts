// Sealed blobs: a row each, and a folder of files named by the id. The relay knows length, owner and expiry, nothing else.

import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Queryable } from '@siegel/database';
import type { AccountId } from '@siegel/protocol/ids';

export type BlobRow = {
  blob_id: Buffer;
  owner: AccountId;
  secret_hash: Buffer;
  bytes: number;
  written: boolean;
  expires_at: number;
};

export async function insertBlob(
  queries: Queryable,
  blob: { id: Buffer; owner: AccountId; secretHash: Buffer; bytes: number; expiresAt: number },
): Promise<void> {
  await queries.query(
    `INSERT INTO blobs (blob_id, owner, secret_hash, bytes, expires_at)
     VALUES ($1, $2, $3, $4, $5)`,
    [blob.id, blob.owner, blob.secretHash, blob.bytes, blob.expiresAt],
  );
}

/** Undefined when unknown or expired. */
export async function readBlob(
  queries: Queryable,
  id: Buffer,
  now: number,
): Promise<BlobRow | undefined> {
  const { rows } = await queries.query<BlobRow>(
    `SELECT blob_id, owner, secret_hash, bytes, written, expires_at FROM blobs
     WHERE blob_id = $1 AND expires_at > $2`,
    [id, now],
  );
  return rows[0];
}

/** False when it was written before. Holds the row until the transaction ends, so that two uploads do not mix. */
export async function noteWritten(transaction: Queryable, id: Buffer): Promise<boolean> {
  const { count } = await transaction.query(
    'UPDATE blobs SET written = true WHERE blob_id = $1 AND NOT written',
    [id],
  );
  return count === 1;
}

export async function attach(
  queries: Queryable,
  blobs: { owner: AccountId; ids: readonly Buffer[]; now: number; expiresAt: number },
): Promise<void> {
  await queries.query(
    `UPDATE blobs SET attached = true, expires_at = greatest(expires_at, $4)
     WHERE blob_id = ANY($1) AND owner = $2 AND expires_at > $3`,
    [blobs.ids, blobs.owner, blobs.now, blobs.expiresAt],
  );
}

export async function readExpired(
  queries: Queryable,
  now: number,
  max: number,
): Promise<readonly Buffer[]> {
  const { rows } = await queries.query<{ blob_id: Buffer }>(
    'SELECT blob_id FROM blobs WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2',
    [now, max],
  );
  return rows.map((row) => row.blob_id);
}

export async function deleteBlobs(queries: Queryable, ids: readonly Buffer[]): Promise<void> {
  await queries.query('DELETE FROM blobs WHERE blob_id = ANY($1)', [ids]);
}

export type BlobFolder = {
  /** Writes a draft and syncs it; throws what `octets` throws, and leaves nothing behind then. */
  readonly draft: (id: Buffer, octets: AsyncIterable<Uint8Array>) => Promise<Draft>;
  /** `start` and `end` are inclusive. */
  readonly read: (id: Buffer, range: { start: number; end: number }) => Readable;
  /** Idempotent. */
  readonly remove: (id: Buffer) => Promise<void>;
  /** Drafts of uploads that a crash cut short. */
  readonly removeOldDrafts: (before: number) => Promise<void>;
};

export type Draft = {
  readonly keep: () => Promise<void>;
  readonly drop: () => Promise<void>;
};

const draftsFolder = 'drafts';

export function createBlobFolder(
  folder: string,
  random: (bytes: number) => Uint8Array,
): BlobFolder {
  const fileOf = (id: Buffer) => {
    const name = id.toString('hex');
    return join(folder, name.slice(0, 2), name);
  };
  return {
    draft: (id, octets) => {
      const name = Buffer.from(random(16)).toString('hex');
      return writeDraft(join(folder, draftsFolder, name), fileOf(id), octets);
    },
    read: (id, range) => createReadStream(fileOf(id), range),
    remove: async (id) => unlinkIfThere(fileOf(id)),
    removeOldDrafts: async (before) => {
      const drafts = join(folder, draftsFolder);
      await mkdir(drafts, { recursive: true, mode: 0o700 });
      for (const name of await readdir(drafts)) {
        const { mtimeMs } = await stat(join(drafts, name));
        if (mtimeMs < before) await unlinkIfThere(join(drafts, name));
      }
    },
  };
}

async function writeDraft(
  draft: string,
  file: string,
  octets: AsyncIterable<Uint8Array>,
): Promise<Draft> {
  await mkdir(dirname(draft), { recursive: true, mode: 0o700 });
  const handle = await open(draft, 'wx', 0o600);
  try {
    for await (const chunk of octets) await handle.write(chunk);
    await handle.sync();
  } catch (error) {
    await handle.close();
    await unlinkIfThere(draft);
    throw error;
  }
  await handle.close();
  return {
    keep: async () => {
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      await rename(draft, file);
      await syncFolder(dirname(file));
    },
    drop: () => unlinkIfThere(draft),
  };
}

/** The new name is durable only when its folder is. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
