// A media id or a link in a message becomes a sealed attachment. A stored file is sealed once and referred to again while
// its blob is young; a link is fetched under the rules for outgoing requests.

import type { CloudApiRefusal, MediaObject } from '@siegel/protocol/cloud-api';
import type { Attachment, MediaKind } from '@siegel/protocol/content';
import { limits } from '@siegel/protocol/limits';
import type { GatewayContext } from '../gateway-context.ts';
import type { MediaReference } from '../outbound/to-content.ts';
import { mediaLimits, misfit, plainMimeType } from './media-limits.ts';
import { mediaById, readWholeMedia, rememberSealed, storeFetched } from './media-store.ts';

const linkTimeoutMs = 15_000;
/** Half of what an unreferred blob lives: a message may still wait to be sent. */
const sealedAgainAfterMs = (limits.blobOrphanHours / 2) * 60 * 60 * 1000;

type File = {
  readonly bytes: Uint8Array;
  readonly mimeType: string;
  readonly filename?: string;
};
type Refused = { readonly refusal: CloudApiRefusal };
const refuse = (code: CloudApiRefusal['code'], details: string): Refused => ({
  refusal: { code, details },
});

async function fetchLink(
  { outgoing }: GatewayContext,
  link: string,
  media: MediaKind,
): Promise<File | Refused> {
  const answer = await outgoing.send({
    method: 'GET',
    url: link,
    headers: { accept: '*/*', 'user-agent': 'facebookexternalhit/1.1' },
    timeoutMs: linkTimeoutMs,
    answerBytesMax: mediaLimits[media].bytesMax,
    redirectsMax: 3,
  });
  if (answer.outcome === 'failed') {
    return refuse(131053, `The link could not be fetched: ${answer.reason}.`);
  }
  if (answer.status !== 200) {
    return refuse(131053, `The link could not be fetched: it answered HTTP ${answer.status}.`);
  }
  const mimeType = plainMimeType(answer.contentType);
  if (mimeType === undefined) return refuse(131053, 'The link answered without a media type.');
  return { bytes: answer.body, mimeType };
}

async function seal(
  context: GatewayContext,
  file: File,
  media: MediaKind,
): Promise<{ attachment: Attachment } | Refused> {
  const wrong = misfit(media, { mimeType: file.mimeType, bytes: file.bytes.length });
  if (wrong !== undefined) return refuse(131053, wrong);
  const sealed = await context.attachments.seal({
    bytes: file.bytes,
    media,
    contentType: file.mimeType,
    ...(file.filename === undefined ? {} : { filename: file.filename }),
  });
  return sealed.outcome === 'sealed'
    ? { attachment: sealed.attachment }
    : {
        refusal: { code: 130429, details: 'The media quota of this business is used up for now.' },
      };
}

/** The bytes of a stored file; received media are fetched from the relay on first use. */
export async function mediaBytes(
  context: GatewayContext,
  mediaId: string,
): Promise<{ bytes: number; sha256: Uint8Array } | undefined> {
  const { database, clock, attachments } = context;
  const media = await mediaById(database, mediaId, clock.now());
  if (media === undefined || media.stored !== undefined) return media?.stored;
  if (media.attachment === undefined) return undefined;
  const opened = await attachments.open(media.attachment);
  return opened.outcome === 'gone' ? undefined : storeFetched(database, mediaId, opened.bytes);
}

async function fromStore(
  context: GatewayContext,
  reference: { mediaId: string; media: MediaKind; phoneNumberId: string },
): Promise<{ attachment: Attachment } | Refused> {
  const { database, clock } = context;
  const { mediaId, media: kind } = reference;
  const media = await mediaById(database, mediaId, clock.now());
  // Another number's media is no different from none.
  if (media === undefined || media.phoneNumberId !== reference.phoneNumberId) {
    return refuse(131009, 'There is no media of this id for this number.');
  }
  const young = media.sealedUntil !== undefined && media.sealedUntil > clock.now();
  if (media.attachment !== undefined && young) {
    const wrong = misfit(kind, { mimeType: media.mimeType, bytes: media.attachment.bytes });
    return wrong === undefined ? { attachment: media.attachment } : refuse(131053, wrong);
  }
  const stored = await mediaBytes(context, mediaId);
  if (stored === undefined) return refuse(131053, 'The media can no longer be fetched.');
  const wrong = misfit(kind, { mimeType: media.mimeType, bytes: stored.bytes });
  if (wrong !== undefined) return refuse(131053, wrong);
  const bytes = await readWholeMedia(database, { mediaId, bytes: stored.bytes });
  const sealed = await seal(context, { ...media, bytes }, kind);
  if ('refusal' in sealed || media.origin === 'received') return sealed;
  const until = clock.now() + sealedAgainAfterMs;
  await rememberSealed(database, mediaId, { attachment: sealed.attachment, until });
  return sealed;
}

async function resolve(
  context: GatewayContext,
  phoneNumberId: string,
  { media, object }: MediaReference,
): Promise<{ attachment: Attachment } | Refused> {
  if (object.id !== undefined) {
    return fromStore(context, { mediaId: object.id, media, phoneNumberId });
  }
  const file = await fetchLink(context, object.link as string, media);
  return 'refusal' in file ? file : seal(context, file, media);
}

/** Every medium of one message, or the first refusal. */
export async function resolveMedia(
  context: GatewayContext,
  phoneNumberId: string,
  references: readonly MediaReference[],
): Promise<{ attachments: ReadonlyMap<MediaObject, Attachment> } | Refused> {
  const attachments = new Map<MediaObject, Attachment>();
  for (const reference of references) {
    const resolved = await resolve(context, phoneNumberId, reference);
    if ('refusal' in resolved) return resolved;
    attachments.set(reference.object, resolved.attachment);
  }
  return { attachments };
}
