// Which files may be sent as what, and how large (Cloud API media table).

import type { MediaKind } from '@siegel/protocol/content';

const megabyte = 1024 * 1024;

type KindLimit = { readonly bytesMax: number; readonly types: readonly RegExp[] };

export const mediaLimits: Record<MediaKind, KindLimit> = {
  image: { bytesMax: 5 * megabyte, types: [/^image\/(jpeg|png)$/] },
  video: { bytesMax: 16 * megabyte, types: [/^video\/(mp4|3gpp)$/] },
  audio: { bytesMax: 16 * megabyte, types: [/^audio\/(aac|amr|mpeg|mp4|ogg|opus)$/] },
  sticker: { bytesMax: 500 * 1024, types: [/^image\/webp$/] },
  // Any file is a document; what it may be opened with is the device's decision.
  document: { bytesMax: 100 * megabyte, types: [/^[a-z]+\/[\w.+-]{1,100}$/] },
};

export const mediaLifetimeDays = { upload: 30, received: 7 } as const;
/** A media URL is good for so long. */
export const mediaUrlMs = 5 * 60 * 1000;
export const chunkBytes = 256 * 1024;

/** `image/jpeg; charset=x` → `image/jpeg`; undefined for what is no media type. */
export function plainMimeType(text: string | undefined): string | undefined {
  const type = text?.split(';')[0]?.trim().toLowerCase();
  return type !== undefined && /^[a-z]+\/[a-z0-9.+_-]{1,100}$/.test(type) ? type : undefined;
}

/** Whether a file may be uploaded at all, and up to which size. */
export function uploadBytesMax(mimeType: string): number {
  const kinds = Object.values(mediaLimits).filter(({ types }) =>
    types.some((type) => type.test(mimeType)),
  );
  const special = kinds.filter((kind) => kind !== mediaLimits.document);
  const fitting = special.length > 0 ? special : kinds;
  return Math.max(...fitting.map(({ bytesMax }) => bytesMax));
}

/** Why a file may not be sent as this kind; undefined when it may. */
export function misfit(
  kind: MediaKind,
  file: { mimeType: string; bytes: number },
): string | undefined {
  const { bytesMax, types } = mediaLimits[kind];
  if (!types.some((type) => type.test(file.mimeType))) {
    return `A file of type ${file.mimeType} cannot be sent as ${kind}.`;
  }
  return file.bytes > bytesMax
    ? `The file has ${file.bytes} bytes; ${kind} may have at most ${bytesMax}.`
    : undefined;
}
