// Sealed blobs as raw bytes beside the JSON contract: upload of a reserved length, download that resumes where it broke.

import { SiegelError } from '@siegel/protocol/errors';
import { blobPath, blobSecretHeader } from '@siegel/protocol/relay';
import { wait } from '../environment.ts';
import { backOffMs } from './back-off.ts';
import { type CallContext, plainRequest } from './call.ts';
import { connectionLimits } from './connection-limits.ts';
import { chunksOf, joined } from './read-bounded.ts';

/** Octets so far, of so many. */
export type Progress = (done: number, total: number) => void;

/**
 * Sends one body and answers the HTTP status; throws when the network breaks. Platforms differ in who can tell how much
 * is sent: browsers need XMLHttpRequest for it, Node a stream.
 */
export type PutBytes = (request: {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
  readonly signal: AbortSignal;
  readonly onSent: (octets: number) => void;
}) => Promise<number>;

export type BlobUpload = {
  readonly blobId: string;
  readonly bytes: Uint8Array;
  readonly onProgress?: Progress;
  readonly signal?: AbortSignal;
};

export type BlobDownload = {
  readonly blobId: string;
  readonly secret: string;
  /** length of the whole sealed blob; the secret's bearer knows it */
  readonly bytes: number;
  /** first octet wanted */
  readonly from?: number;
  /** one past the last octet wanted */
  readonly to?: number;
  readonly onProgress?: Progress;
  readonly signal?: AbortSignal;
};

/** `gone` is a wrong secret, an unknown and an expired blob alike (rule B2). */
export type DownloadedBlob =
  | { readonly outcome: 'blob'; readonly bytes: Uint8Array }
  | { readonly outcome: 'gone' };

export type UploadedBlob = { readonly outcome: 'stored' } | { readonly outcome: 'gone' };

/** The reservation is used up by the first whole upload; asking again after a lost answer is answered 409 and means success. */
export async function uploadBlob(
  context: CallContext & { readonly putBytes: PutBytes },
  upload: BlobUpload,
): Promise<UploadedBlob> {
  if (context.token === undefined) throw new SiegelError('unauthenticated', 'uploadBlob');
  const total = upload.bytes.length;
  return repeating(context, upload.signal, async (attempt, transfer) => {
    const status = await context.putBytes({
      url: `${context.url}${blobPath(upload.blobId)}`,
      headers: {
        authorization: `Bearer ${context.token}`,
        'content-type': 'application/octet-stream',
      },
      bytes: upload.bytes,
      signal: transfer.signal,
      onSent: (octets) => {
        transfer.alive();
        upload.onProgress?.(Math.min(octets, total), total);
      },
    });
    if (status === 204 || (status === 409 && attempt > 0)) {
      upload.onProgress?.(total, total);
      return { outcome: 'stored' };
    }
    if (status === 404) return { outcome: 'gone' };
    throw refusal('uploadBlob', status);
  });
}

export async function downloadBlob(
  context: CallContext,
  download: BlobDownload,
): Promise<DownloadedBlob> {
  const from = download.from ?? 0;
  const to = download.to ?? download.bytes;
  const parts: Uint8Array[] = [];
  let have = 0;
  return repeating(context, download.signal, async (_attempt, transfer) => {
    const part: BlobPart = { download, from: from + have, to };
    const response = await requestPart(context, part, transfer.signal);
    if (response === undefined) return { outcome: 'gone' };
    for await (const chunk of chunksOf(response)) {
      transfer.alive();
      have += chunk.length;
      if (from + have > to) throw new SiegelError('relay-refused', 'blob longer than announced');
      parts.push(chunk);
      download.onProgress?.(have, to - from);
    }
    if (from + have < to) throw new TypeError('blob ended early');
    return { outcome: 'blob', bytes: joined(parts, have) };
  });
}

type BlobPart = {
  readonly download: BlobDownload;
  readonly from: number;
  readonly to: number;
};

async function requestPart(
  context: CallContext,
  { download, from, to }: BlobPart,
  signal: AbortSignal,
): Promise<Response | undefined> {
  const whole = from === 0 && to === download.bytes;
  const response = await context.fetch(`${context.url}${blobPath(download.blobId)}`, {
    ...plainRequest,
    headers: {
      [blobSecretHeader]: download.secret,
      ...(whole ? {} : { range: `bytes=${from}-${to - 1}` }),
    },
    signal,
  });
  if (response.status === 404) return undefined;
  if (response.status !== (whole ? 200 : 206)) throw refusal('downloadBlob', response.status);
  // RFC 9110 §14.4: without this check a relay that ignores Range would shift every octet.
  const range = `bytes ${from}-${to - 1}/${download.bytes}`;
  if (!whole && response.headers.get('content-range') !== range) {
    throw new SiegelError('relay-refused', 'downloadBlob: another range than asked for');
  }
  return response;
}

function refusal(what: string, status: number): SiegelError {
  if (status === 401) return new SiegelError('unauthenticated', what);
  const later = status >= 500 || status === 429;
  return new SiegelError(later ? 'relay-unreachable' : 'relay-refused', `${what}: ${status}`);
}

type Transfer = { readonly signal: AbortSignal; alive(): void };

/** Runs transfers until one ends; each is given up when nothing moves for `blobIdleMs`. */
async function repeating<Result>(
  context: CallContext,
  signal: AbortSignal | undefined,
  run: (attempt: number, transfer: Transfer) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 0; ; attempt += 1) {
    const ending = new AbortController();
    const abort = () => ending.abort();
    let cancel = context.schedule(abort, connectionLimits.blobIdleMs);
    const alive = () => {
      cancel();
      cancel = context.schedule(abort, connectionLimits.blobIdleMs);
    };
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted === true) abort();
    try {
      return await run(attempt, { signal: ending.signal, alive });
    } catch (error) {
      const failure =
        error instanceof SiegelError
          ? error
          : new SiegelError('relay-unreachable', 'blob', { cause: error });
      const over = attempt + 1 >= connectionLimits.blobAttemptsMax || signal?.aborted === true;
      if (failure.code !== 'relay-unreachable' || over) throw failure;
    } finally {
      cancel();
      signal?.removeEventListener('abort', abort);
    }
    await wait(context, backOffMs(connectionLimits.retry, attempt, context.random()), signal);
  }
}
