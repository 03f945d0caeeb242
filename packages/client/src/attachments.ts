// Media: sealed here, uploaded as a blob, described inside the sealed message; and the way back (design §3).

import {
  type AttachmentDescriptor,
  collectBytes,
  openAttachment,
  openRange,
  sealAttachment,
  sealedLength,
} from '@siegel/crypto';
import type { Attachment } from '@siegel/protocol/content';
import { SiegelError } from '@siegel/protocol/errors';
import { limits } from '@siegel/protocol/limits';
import { type AnswerOf, createBlob } from '@siegel/protocol/relay';
import type { DeviceContext } from './device-context.ts';
import type { Progress } from './relay-connection.ts';
import { safeFilename } from './safe-text.ts';

type AttachmentContext = Pick<DeviceContext, 'connection' | 'provider'>;

export type AttachmentUpload = Pick<
  Attachment,
  'media' | 'contentType' | 'caption' | 'voice' | 'width' | 'height'
> & {
  readonly bytes: Uint8Array;
  readonly filename?: string;
  readonly onProgress?: Progress;
  readonly signal?: AbortSignal;
};

export type AttachmentStored =
  /** `blobId` belongs into `Outgoing.blobs`, so that the relay keeps it */
  | { readonly outcome: 'stored'; readonly attachment: Attachment; readonly blobId: string }
  | { readonly outcome: 'too-large' }
  | Exclude<AnswerOf<typeof createBlob>, { outcome: 'created' }>;

/** Quota first, then one byte (rule B1). A blob that no message refers to ends by itself after 24 hours. */
export async function storeAttachment(
  context: AttachmentContext,
  upload: AttachmentUpload,
): Promise<AttachmentStored> {
  const { bytes: plaintext, filename, onProgress, signal, ...fields } = upload;
  const sealedBytes = sealedLength(plaintext.length);
  if (sealedBytes > limits.blobBytesMax) return { outcome: 'too-large' };
  const reserved = await context.connection.call(createBlob, { bytes: sealedBytes });
  if (reserved.outcome !== 'created') return reserved;
  const { blobId, secret } = reserved;
  const sealing = sealAttachment(context.provider, [plaintext]);
  const sealed = await collectBytes(sealing.sealed);
  const uploaded = await context.connection.uploadBlob({
    blobId,
    bytes: sealed,
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(signal === undefined ? {} : { signal }),
  });
  if (uploaded.outcome === 'gone') throw new SiegelError('relay-refused', 'reserved blob is gone');
  const attachment: Attachment = {
    type: 'attachment',
    ...fields,
    ...sealing.descriptor(),
    blobId,
    blobSecret: secret,
    ...(filename === undefined ? {} : { filename: safeFilename(filename, 'file') }),
  };
  return { outcome: 'stored', attachment, blobId };
}

export type AttachmentFetched =
  | { readonly outcome: 'attachment'; readonly bytes: Uint8Array }
  /** expired, or never there: the same answer */
  | { readonly outcome: 'gone' };

/** @throws SiegelError `attachment-corrupt` when it is not what its sender sealed */
export async function fetchAttachment(
  context: AttachmentContext,
  attachment: Attachment,
  options: { readonly onProgress?: Progress; readonly signal?: AbortSignal } = {},
): Promise<AttachmentFetched> {
  const descriptor = checkedDescriptor(attachment);
  const blob = await context.connection.downloadBlob({
    blobId: attachment.blobId,
    secret: attachment.blobSecret,
    bytes: attachment.sealedBytes,
    ...options,
  });
  if (blob.outcome === 'gone') return blob;
  const bytes = await collectBytes(openAttachment(descriptor, [blob.bytes]));
  return { outcome: 'attachment', bytes };
}

/** Plaintext from `start` to `end` (excluded), for seeking in a video. Only whole records are fetched. */
export async function* readAttachment(
  context: AttachmentContext,
  attachment: Attachment,
  range: { readonly start: number; readonly end: number; readonly signal?: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const { signal, ...wanted } = range;
  yield* openRange(checkedDescriptor(attachment), wanted, async (from, to) => {
    const part = await context.connection.downloadBlob({
      blobId: attachment.blobId,
      secret: attachment.blobSecret,
      bytes: attachment.sealedBytes,
      from,
      to,
      ...(signal === undefined ? {} : { signal }),
    });
    if (part.outcome === 'gone') throw new SiegelError('attachment-corrupt', 'gone');
    return part.bytes;
  });
}

/** Before anything is fetched: a sender may not make a device load more than a blob can be. */
function checkedDescriptor(attachment: Attachment): AttachmentDescriptor {
  const { bytes, sealedBytes, key, sealedSha256 } = attachment;
  if (sealedBytes > limits.blobBytesMax || sealedLength(bytes) !== sealedBytes) {
    throw new SiegelError('attachment-corrupt', 'length');
  }
  return { bytes, sealedBytes, key, sealedSha256 };
}
