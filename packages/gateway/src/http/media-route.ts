// Media by id: upload, description, bytes, deletion. Bytes come from an address that is signed and good for five minutes;
// one client leaves the token out there, so it may be absent but never wrong.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { Readable } from 'node:stream';
import type { CloudApiRefusal } from '@siegel/protocol/cloud-api';
import { SiegelError } from '@siegel/protocol/errors';
import { limits } from '@siegel/protocol/limits';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type GatewayContext, numberById, type OwnNumber } from '../gateway-context.ts';
import { newMediaId } from '../media/media-id.ts';
import { mediaUrlMs, plainMimeType, uploadBytesMax } from '../media/media-limits.ts';
import { addUpload, deleteMedia, type Media, mediaById, readMedia } from '../media/media-store.ts';
import { mediaBytes } from '../media/outgoing-media.ts';
import { printable } from '../printable.ts';
import type { Access } from '../tokens.ts';
import { type Answer, refuse, success } from './answer.ts';
import { ownNumber, queryText } from './authorise.ts';
import { noSuchObject } from './cloud-api-error.ts';

type Refused = { readonly refusal: CloudApiRefusal };

type Upload = {
  file?: { mediaId: string; mimeType: string | undefined; bytes: number };
  readonly fields: Map<string, string>;
};

async function storePart(
  context: GatewayContext,
  number: OwnNumber,
  part: { file: Readable & { truncated?: boolean }; mimetype: string; filename: string },
): Promise<NonNullable<Upload['file']> | 'too-large'> {
  const mediaId = newMediaId(context.clock.random);
  const mimeType = plainMimeType(part.mimetype);
  const stored = await addUpload(context.database, {
    mediaId,
    phoneNumberId: number.phoneNumberId,
    mimeType: mimeType ?? 'application/octet-stream',
    filename: printable(part.filename)?.slice(0, 240),
    source: part.file,
    bytesMax: limits.blobBytesMax,
    now: context.clock.now(),
  });
  if (stored === undefined || part.file.truncated === true) {
    await deleteMedia(context.database, mediaId);
    return 'too-large';
  }
  return { mediaId, mimeType, bytes: stored.bytes };
}

/** Reads every part into `upload`, whatever their order; one file only. */
async function readParts(
  context: GatewayContext,
  upload: Upload,
  form: { number: OwnNumber; request: FastifyRequest },
): Promise<Refused | undefined> {
  let wrong: Refused | undefined;
  for await (const part of form.request.parts()) {
    if (part.type === 'field') {
      if (typeof part.value === 'string') upload.fields.set(part.fieldname, part.value);
      continue;
    }
    if (part.fieldname !== 'file' || upload.file !== undefined || wrong !== undefined) {
      if (part.fieldname === 'file') {
        wrong ??= refuse(100, 'Exactly one file is uploaded at a time.');
      }
      part.file.resume();
      continue;
    }
    const stored = await storePart(context, form.number, part);
    if (stored === 'too-large') wrong = refuse(131053, 'The file is larger than allowed.');
    else upload.file = stored;
  }
  return wrong;
}

const isOurs = (error: unknown): boolean =>
  error instanceof SiegelError || (error as Error).name === 'DatabaseFailure';

function uploadRefusal(upload: Upload): { mimeType: string } | Refused {
  const { file, fields } = upload;
  if (file === undefined) return refuse(131008, 'file is required.');
  if (fields.get('messaging_product') !== 'whatsapp') {
    return refuse(100, 'The parameter messaging_product must be "whatsapp".');
  }
  // `type` says it better than a form that calls everything octet-stream.
  const said = fields.get('type');
  const mimeType = plainMimeType(said ?? file.mimeType);
  if (mimeType === undefined) return refuse(131009, 'type is not a media type.');
  if (file.bytes === 0) return refuse(131053, 'The file is empty.');
  const bytesMax = uploadBytesMax(mimeType);
  return file.bytes > bytesMax
    ? refuse(131053, `The file has ${file.bytes} bytes; ${mimeType} may have at most ${bytesMax}.`)
    : { mimeType };
}

export async function postMedia(
  context: GatewayContext,
  number: OwnNumber,
  request: FastifyRequest,
): Promise<Answer> {
  if (!request.isMultipart()) return refuse(100, 'The request must be multipart/form-data.');
  const upload: Upload = { fields: new Map() };
  let kept = false;
  try {
    const wrong = await readParts(context, upload, { number, request });
    if (wrong !== undefined) return wrong;
    const checked = uploadRefusal(upload);
    if ('refusal' in checked) return checked;
    const mediaId = upload.file?.mediaId ?? '';
    await context.database.query('UPDATE media SET mime_type = $2 WHERE media_id = $1', [
      mediaId,
      checked.mimeType,
    ]);
    kept = true;
    return { body: { id: mediaId } };
  } catch (error) {
    // The form's reader has no words of its own for a form that ends early or is none.
    if (isOurs(error)) throw error;
    return refuse(100, 'The form could not be read.');
  } finally {
    if (!kept && upload.file !== undefined) {
      await deleteMedia(context.database, upload.file.mediaId);
    }
  }
}

async function ownMedia(
  context: GatewayContext,
  access: Access,
  mediaId: string,
): Promise<{ media: Media } | Refused> {
  const media = await mediaById(context.database, mediaId, context.clock.now());
  if (media === undefined) return { refusal: noSuchObject };
  const seen = ownNumber(context, access, media.phoneNumberId);
  return 'refusal' in seen ? seen : { media };
}

const urlMac = (context: GatewayContext, mediaId: string, until: number): string =>
  createHmac('sha256', context.secret).update(`media:${mediaId}:${until}`).digest('base64url');

export async function getMedia(
  context: GatewayContext,
  access: Access,
  request: FastifyRequest,
): Promise<Answer> {
  const { id } = request.params as { id: string };
  const own = await ownMedia(context, access, id);
  if ('refusal' in own) return own;
  const { media } = own;
  const asked = queryText(request.query, 'phone_number_id');
  if (asked !== undefined && asked !== media.phoneNumberId) return { refusal: noSuchObject };
  const stored = await mediaBytes(context, id);
  if (stored === undefined) return { refusal: { code: 131052 } };
  const until = context.clock.now() + mediaUrlMs;
  const mac = urlMac(context, id, until);
  return {
    body: {
      messaging_product: 'whatsapp',
      url: `${context.publicUrl()}/media-bytes/${id}?ext=${until}&hash=${mac}`,
      mime_type: media.mimeType,
      sha256: Buffer.from(stored.sha256).toString('hex'),
      file_size: stored.bytes,
      id,
    },
  };
}

export async function removeMedia(
  context: GatewayContext,
  access: Access,
  id: string,
): Promise<Answer> {
  const own = await ownMedia(context, access, id);
  if ('refusal' in own) return own;
  await deleteMedia(context.database, id);
  return success;
}

/** One range of RFC 9110 §14.1; undefined for the whole, `unsatisfiable` when it lies outside. Several: the whole. */
export function readRange(
  header: string | undefined,
  bytes: number,
): { first: number; last: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  if (match === null) return undefined;
  const [, from = '', to = ''] = match;
  if (from === '' && to === '') return undefined;
  if (from === '') {
    const length = Math.min(Number(to), bytes);
    return length === 0 ? 'unsatisfiable' : { first: bytes - length, last: bytes - 1 };
  }
  const first = Number(from);
  const last = to === '' ? bytes - 1 : Math.min(Number(to), bytes - 1);
  if (to !== '' && Number(to) < first) return undefined;
  return first >= bytes ? 'unsatisfiable' : { first, last };
}

/** Answers with the bytes itself; a refusal is left to the caller. */
export async function sendMediaBytes(
  context: GatewayContext,
  access: Access,
  exchange: { request: FastifyRequest; reply: FastifyReply },
): Promise<Refused | undefined> {
  const { request, reply } = exchange;
  const { id } = request.params as { id: string };
  const until = Number(queryText(request.query, 'ext') ?? 0);
  const given = Buffer.from(queryText(request.query, 'hash') ?? '');
  const expected = Buffer.from(urlMac(context, id, until));
  const genuine = given.length === expected.length && timingSafeEqual(given, expected);
  if (!genuine || !(until > context.clock.now())) return { refusal: noSuchObject };
  const own = await ownMedia(context, access, id);
  if ('refusal' in own) return own;
  const stored = await mediaBytes(context, id);
  if (stored === undefined || numberById(context.business, own.media.phoneNumberId) === undefined) {
    return { refusal: { code: 131052 } };
  }
  const range = readRange(request.headers.range, stored.bytes);
  reply.header('accept-ranges', 'bytes').header('cache-control', 'private, no-store');
  // What people send is hostile: never shown as a page of this origin.
  reply
    .header('x-content-type-options', 'nosniff')
    .header('content-disposition', 'attachment')
    .header('content-security-policy', "sandbox; default-src 'none'");
  if (range === 'unsatisfiable') {
    reply.code(416).header('content-range', `bytes */${stored.bytes}`);
    await reply.send();
    return undefined;
  }
  const { first, last } = range ?? { first: 0, last: stored.bytes - 1 };
  if (range !== undefined) {
    reply.code(206).header('content-range', `bytes ${first}-${last}/${stored.bytes}`);
  }
  reply.header('content-type', own.media.mimeType).header('content-length', last - first + 1);
  await reply.send(Readable.from(readMedia(context.database, id, { first, last })));
  return undefined;
}
