// The only door to the network: calls, blobs and the mailbox socket of one device at one relay.
// Being offline is a normal state: calls end in `relay-unreachable`, the mailbox comes back by itself.

import { SiegelError } from '@siegel/protocol/errors';
import type { AnswerOf, Endpoint, RequestOf } from '@siegel/protocol/relay';
import {
  type BlobDownload,
  type BlobUpload,
  type DownloadedBlob,
  downloadBlob,
  type PutBytes,
  type UploadedBlob,
  uploadBlob,
} from './connection/blobs.ts';
import { type CallOptions, callEndpoint, type FetchLike } from './connection/call.ts';
import {
  type Mailbox,
  type MailboxHandlers,
  type OpenWebSocket,
  openMailbox,
} from './connection/mailbox-socket.ts';
import type { Environment } from './environment.ts';

export type {
  BlobDownload,
  BlobUpload,
  DownloadedBlob,
  Progress,
  PutBytes,
  UploadedBlob,
} from './connection/blobs.ts';
export type { CallOptions, FetchLike } from './connection/call.ts';
export type {
  Mailbox,
  MailboxEvent,
  MailboxHandlers,
  OfflineReason,
  OpenWebSocket,
} from './connection/mailbox-socket.ts';

/** What a platform gives: filled by node.ts and browser.ts. */
export type Network = {
  readonly fetch: FetchLike;
  readonly webSocket: OpenWebSocket;
  /** Without it an upload's progress is told only at its ends. */
  readonly putBytes?: PutBytes;
};

export type RelayConnectionOptions = Environment &
  Network & {
    /** origin of the relay, without a path: `https://relay.example` */
    readonly url: string;
    /** the device token; without it only endpoints for `anyone` can be called */
    readonly token?: string;
  };

export interface RelayConnection {
  readonly url: string;
  /**
   * Asks the relay; every expected refusal is one of the answers. Repeats by itself what may be repeated.
   * @throws SiegelError `relay-unreachable`, `relay-refused`, `unauthenticated`, `request-invalid`
   */
  call<E extends Endpoint>(
    endpoint: E,
    request: RequestOf<E>,
    options?: CallOptions,
  ): Promise<AnswerOf<E>>;
  uploadBlob(upload: BlobUpload): Promise<UploadedBlob>;
  downloadBlob(download: BlobDownload): Promise<DownloadedBlob>;
  /** One at a time; a second one while the first is open is the caller's bug. */
  openMailbox(handlers: MailboxHandlers): Mailbox;
  /** The same relay with a device's token. */
  withToken(token: string): RelayConnection;
  /** Ends calls under way with `relay-unreachable` and closes the mailbox. */
  close(): Promise<void>;
}

export function createRelayConnection(options: RelayConnectionOptions): RelayConnection {
  const url = originOf(options.url);
  const closing = new AbortController();
  const context = {
    ...options,
    url,
    token: options.token,
    putBytes: options.putBytes ?? putByFetch(options.fetch),
  };
  const ending = (signal: AbortSignal | undefined): AbortSignal =>
    signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]);
  let mailbox: Mailbox | undefined;
  return {
    url,
    call: (endpoint, request, callOptions = {}) =>
      callEndpoint(context, endpoint, request, {
        ...callOptions,
        signal: ending(callOptions.signal),
      }),
    uploadBlob: (upload) => uploadBlob(context, { ...upload, signal: ending(upload.signal) }),
    downloadBlob: (download) =>
      downloadBlob(context, { ...download, signal: ending(download.signal) }),
    openMailbox(handlers) {
      const { token } = context;
      if (token === undefined) throw new SiegelError('unauthenticated', 'openMailbox');
      if (mailbox !== undefined) throw new Error('Assertion failed: one mailbox at a time');
      const opened = openMailbox({ ...context, token }, handlers);
      mailbox = opened;
      return {
        ...opened,
        async close() {
          if (mailbox === opened) mailbox = undefined;
          await opened.close();
        },
      };
    },
    withToken: (token) => createRelayConnection({ ...options, token }),
    async close() {
      closing.abort();
      await mailbox?.close();
      mailbox = undefined;
    },
  };
}

/** A path, a query or credentials in the address would change what is asked for, silently. */
function originOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const plain =
    parsed !== undefined &&
    (parsed.protocol === 'http:' || parsed.protocol === 'https:') &&
    parsed.href === `${parsed.origin}/`;
  if (!plain) {
    throw new SiegelError('configuration-invalid', 'the relay’s address must be an http(s) origin');
  }
  return parsed.origin;
}

const putByFetch =
  (fetch: FetchLike): PutBytes =>
  async ({ url, headers, bytes, signal, onSent }) => {
    onSent(0);
    const body = bytes as Uint8Array<ArrayBuffer>;
    const response = await fetch(url, { method: 'PUT', headers, body, signal, redirect: 'error' });
    await response.body?.cancel();
    return response.status;
  };
