// Media of the firm: uploaded by its programs or received from people, in pieces in the firm's own database, so that they
// can be streamed, read in part and deleted in one transaction.

import { createHash } from 'node:crypto';
import type { Database, Queryable } from '@siegel/database';
import type { Attachment } from '@siegel/protocol/content';
import { chunkBytes, mediaLifetimeDays } from './media-limits.ts';

const dayMs = 24 * 60 * 60 * 1000;

export type Media = {
  readonly mediaId: string;
  readonly phoneNumberId: string;
  readonly origin: 'upload' | 'received';
  readonly mimeType: string;
  readonly filename?: string;
  /** undefined until the bytes were fetched from the relay */
  readonly stored?: { readonly bytes: number; readonly sha256: Uint8Array };
  readonly attachment?: Attachment;
  /** of an upload that was sealed before: its blob may be referred to again until then */
  readonly sealedUntil?: number;
};

type Row = {
  media_id: string;
  phone_number_id: string;
  origin: 'upload' | 'received';
  mime_type: string;
  filename: string | null;
  bytes: number | null;
  sha256: Buffer | null;
  attachment: string | null;
  sealed_until: number | null;
};

/** Octets cannot be written in JSON: they become base64url here and come back below. */
const attachmentText = (attachment: Attachment): string =>
  JSON.stringify({
    ...attachment,
    key: Buffer.from(attachment.key).toString('base64url'),
    sealedSha256: Buffer.from(attachment.sealedSha256).toString('base64url'),
  });

function readAttachment(text: string): Attachment {
  const value = JSON.parse(text) as Omit<Attachment, 'key' | 'sealedSha256'> & {
    key: string;
    sealedSha256: string;
  };
  return {
    ...value,
    key: new Uint8Array(Buffer.from(value.key, 'base64url')),
    sealedSha256: new Uint8Array(Buffer.from(value.sealedSha256, 'base64url')),
  };
}

const mediaOf = (row: Row): Media => ({
  mediaId: row.media_id,
  phoneNumberId: row.phone_number_id,
  origin: row.origin,
  mimeType: row.mime_type,
  ...(row.filename === null ? {} : { filename: row.filename }),
  ...(row.bytes === null || row.sha256 === null
    ? {}
    : { stored: { bytes: row.bytes, sha256: row.sha256 } }),
  ...(row.attachment === null ? {} : { attachment: readAttachment(row.attachment) }),
  ...(row.sealed_until === null ? {} : { sealedUntil: row.sealed_until }),
});

export async function mediaById(
  database: Queryable,
  mediaId: string,
  now: number,
): Promise<Media | undefined> {
  if (!/^\d{1,32}$/.test(mediaId)) return undefined;
  const { rows } = await database.query<Row>(
    `SELECT media_id, phone_number_id, origin, mime_type, filename, bytes, sha256, attachment,
       sealed_until
     FROM media WHERE media_id = $1 AND expires_at > $2 AND (bytes IS NOT NULL OR attachment IS NOT NULL)`,
    [mediaId, now],
  );
  return rows[0] && mediaOf(rows[0]);
}

type NewMedia = {
  readonly mediaId: string;
  readonly phoneNumberId: string;
  readonly mimeType: string;
  readonly filename?: string | undefined;
  readonly now: number;
};

async function insertMedia(
  database: Queryable,
  media: NewMedia & { origin: 'upload' | 'received'; attachment?: Attachment },
): Promise<void> {
  await database.query(
    `INSERT INTO media (media_id, phone_number_id, origin, mime_type, filename, attachment,
       created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [
      media.mediaId,
      media.phoneNumberId,
      media.origin,
      media.mimeType,
      media.filename ?? null,
      media.attachment === undefined ? null : attachmentText(media.attachment),
      media.now,
      media.now + mediaLifetimeDays[media.origin] * dayMs,
    ],
  );
}

/** In the transaction that stores the message: the file is known, its bytes are fetched later. */
export const addReceivedMedia = (
  transaction: Queryable,
  media: NewMedia & { attachment: Attachment },
): Promise<void> => insertMedia(transaction, { ...media, origin: 'received' });

async function* inChunks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let held = 0;
  for await (const part of source) {
    let rest = part;
    while (held + rest.length >= chunkBytes) {
      const fits = chunkBytes - held;
      yield Buffer.concat([...parts, rest.subarray(0, fits)]);
      rest = rest.subarray(fits);
      parts = [];
      held = 0;
    }
    if (rest.length > 0) {
      parts.push(rest);
      held += rest.length;
    }
  }
  if (held > 0) yield Buffer.concat(parts);
}

/** Stores the bytes of a file that is known already; answers its size, or undefined when it is longer than allowed. */
async function storeBytes(
  database: Queryable,
  mediaId: string,
  source: AsyncIterable<Uint8Array>,
  bytesMax: number,
): Promise<{ bytes: number; sha256: Uint8Array } | undefined> {
  const hash = createHash('sha256');
  let bytes = 0;
  let chunk = 0;
  await database.query('DELETE FROM media_chunks WHERE media_id = $1', [mediaId]);
  for await (const octets of inChunks(source)) {
    bytes += octets.length;
    if (bytes > bytesMax) return undefined;
    hash.update(octets);
    await database.query('INSERT INTO media_chunks (media_id, chunk, octets) VALUES ($1, $2, $3)', [
      mediaId,
      chunk,
      octets,
    ]);
    chunk += 1;
  }
  const sha256 = hash.digest();
  // Only now can the file be seen: a broken upload leaves nothing but chunks for the sweep.
  await database.query('UPDATE media SET bytes = $2, sha256 = $3 WHERE media_id = $1', [
    mediaId,
    bytes,
    sha256,
  ]);
  return { bytes, sha256 };
}

/** Streams an upload into the database. Undefined: longer than `bytesMax`, and gone again. */
export async function addUpload(
  database: Database,
  media: NewMedia & { source: AsyncIterable<Uint8Array>; bytesMax: number },
): Promise<{ bytes: number; sha256: Uint8Array } | undefined> {
  await insertMedia(database, { ...media, origin: 'upload' });
  let stored: { bytes: number; sha256: Uint8Array } | undefined;
  try {
    stored = await storeBytes(database, media.mediaId, media.source, media.bytesMax);
    return stored;
  } finally {
    if (stored === undefined) await deleteMedia(database, media.mediaId);
  }
}

/** The bytes of received media have been fetched from the relay and opened. Two that fetched at once store them once. */
export async function storeFetched(
  database: Database,
  mediaId: string,
  bytes: Uint8Array,
): Promise<{ bytes: number; sha256: Uint8Array } | undefined> {
  async function* whole() {
    yield bytes;
  }
  return database.transaction(async (transaction) => {
    const { rows } = await transaction.query<{ bytes: number | null; sha256: Buffer | null }>(
      'SELECT bytes, sha256 FROM media WHERE media_id = $1 FOR UPDATE',
      [mediaId],
    );
    const [row] = rows;
    if (row === undefined) return undefined;
    if (row.bytes !== null && row.sha256 !== null) return { bytes: row.bytes, sha256: row.sha256 };
    return storeBytes(transaction, mediaId, whole(), Number.POSITIVE_INFINITY);
  });
}

export async function rememberSealed(
  database: Queryable,
  mediaId: string,
  sealed: { attachment: Attachment; until: number },
): Promise<void> {
  await database.query('UPDATE media SET attachment = $2, sealed_until = $3 WHERE media_id = $1', [
    mediaId,
    attachmentText(sealed.attachment),
    sealed.until,
  ]);
}

/** The octets from `first` to `last`, both included. */
export async function* readMedia(
  database: Queryable,
  mediaId: string,
  range: { first: number; last: number },
): AsyncGenerator<Uint8Array> {
  const from = Math.floor(range.first / chunkBytes);
  const to = Math.floor(range.last / chunkBytes);
  for (let chunk = from; chunk <= to; chunk += 1) {
    const { rows } = await database.query<{ octets: Buffer }>(
      'SELECT octets FROM media_chunks WHERE media_id = $1 AND chunk = $2',
      [mediaId, chunk],
    );
    const octets = rows[0]?.octets;
    if (octets === undefined) return;
    const start = chunk * chunkBytes;
    yield octets.subarray(Math.max(0, range.first - start), range.last - start + 1);
  }
}

export async function readWholeMedia(
  database: Queryable,
  media: { mediaId: string; bytes: number },
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  if (media.bytes > 0) {
    const range = { first: 0, last: media.bytes - 1 };
    for await (const part of readMedia(database, media.mediaId, range)) parts.push(part);
  }
  return Buffer.concat(parts);
}

export async function deleteMedia(database: Database, mediaId: string): Promise<void> {
  await database.transaction(async (transaction) => {
    await transaction.query('DELETE FROM media WHERE media_id = $1', [mediaId]);
    await transaction.query('DELETE FROM media_chunks WHERE media_id = $1', [mediaId]);
  });
}

/** Expired files, uploads that broke off a day ago, and chunks of neither. */
export async function sweepMedia(database: Queryable, now: number): Promise<void> {
  await database.query(
    `DELETE FROM media WHERE expires_at <= $1
       OR (bytes IS NULL AND attachment IS NULL AND created_at < $1 - ${dayMs})`,
    [now],
  );
  await database.query(
    'DELETE FROM media_chunks WHERE NOT EXISTS (SELECT 1 FROM media WHERE media.media_id = media_chunks.media_id)',
  );
}
