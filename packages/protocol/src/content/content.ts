// A content is a MIMI container around one body. Encoding chooses the part; decoding turns foreign media types into `unknown`.

import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import { MessageId } from '../ids.ts';
import type { EnvelopeKind } from '../relay/envelope.ts';
import { Body } from './body.ts';
import { fromBase64Url, toBase64Url } from './message-id.ts';
import {
  ContentMalformed,
  decodeMimi,
  dispositions,
  encodeMimi,
  type MimiContent,
  type NestedPart,
} from './mimi.ts';

export type Content = {
  /** 16 fresh random octets */
  salt: Uint8Array;
  inReplyTo?: MessageId;
  replaces?: MessageId;
  /** seconds since 1970; the device deletes it then */
  expiresAt?: number;
  /** made by a bot or a rule, and shown as such */
  automated?: boolean;
  body: Body;
};

const plainText = 'text/plain;charset=utf-8';
const vendor = (type: string) => `application/vnd.siegel.${type}+cbor`;
const receiptType = 'application/mimi-message-status';
const automatedExtension = 'siegel.automated';

const dispositionOf: Partial<Record<Body['type'], number>> = {
  attachment: dispositions.attachment,
  profile: dispositions.profile,
  receipt: dispositions.unspecified,
  typing: dispositions.unspecified,
};

const utf8 = {
  encode: (text: string): Uint8Array => encodeUtf8(text),
  decode: (bytes: Uint8Array): string => decodeUtf8(bytes),
};

/** This package has no platform, hence no TextEncoder: CBOR text strings carry the same octets. */
function encodeUtf8(text: string): Uint8Array {
  const bytes = encode(text);
  const lead = (bytes[0] ?? 0) & 0x1f;
  const head = lead < 24 ? 1 : 1 + 2 ** (lead - 24);
  return bytes.subarray(head);
}

function decodeUtf8(bytes: Uint8Array): string {
  const head = encode(bytes);
  const text = Uint8Array.from(head);
  text[0] = (head[0] ?? 0) | 0x20;
  return decode(text) as string;
}

function partOf(body: Body): NestedPart {
  const language = '';
  const disposition = dispositionOf[body.type] ?? dispositions.render;
  switch (body.type) {
    case 'text':
      return {
        disposition,
        language,
        part: 'single',
        contentType: plainText,
        content: utf8.encode(body.text),
      };
    case 'reaction':
      return body.emoji === ''
        ? { disposition: dispositions.reaction, language, part: 'null' }
        : {
            disposition: dispositions.reaction,
            language,
            part: 'single',
            contentType: plainText,
            content: utf8.encode(body.emoji),
          };
    case 'delete':
      return { disposition, language, part: 'null' };
    case 'unknown':
      throw new ContentMalformed('an unknown body cannot be sent');
    default: {
      const { type, ...fields } = body;
      const contentType = type === 'receipt' ? receiptType : vendor(type);
      return {
        disposition,
        language,
        part: 'single',
        contentType,
        content: encode(fields, cborOptions),
      };
    }
  }
}

const cborOptions = { ...rfc8949EncodeOptions, ignoreUndefinedProperties: true };

/** Octets to be sealed. @throws ContentMalformed when a field breaks its limit */
export function encodeContent(content: Content): Uint8Array {
  const parsed = Body.safeParse(content.body);
  if (!parsed.success)
    throw new ContentMalformed('content is malformed: body', { cause: parsed.error });
  const preview = content.body.type === 'text' && content.body.preview === true;
  const extensions = new Map<string | number, unknown>();
  if (content.automated === true) extensions.set(automatedExtension, true);
  if (preview) extensions.set('siegel.preview', true);
  return encodeMimi({
    salt: content.salt,
    replaces: content.replaces ? fromBase64Url(content.replaces) : null,
    topicId: new Uint8Array(0),
    expires:
      content.expiresAt === undefined ? null : { relative: false, seconds: content.expiresAt },
    inReplyTo: content.inReplyTo ? fromBase64Url(content.inReplyTo) : null,
    extensions,
    part: partOf(content.body),
  });
}

function fieldsOf(bytes: Uint8Array): Record<string, unknown> {
  const value: unknown = decode(bytes, { rejectDuplicateMapKeys: true });
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ContentMalformed('content is malformed: fields');
  }
  return value as Record<string, unknown>;
}

function bodyOf(mimi: MimiContent): unknown {
  const part = mimi.part;
  if (part.part === 'null') {
    return part.disposition === dispositions.reaction
      ? { type: 'reaction', emoji: '' }
      : { type: 'delete' };
  }
  if (part.part !== 'single') return { type: 'unknown', contentType: 'multipart' };
  if (part.contentType === plainText) {
    const text = utf8.decode(part.content);
    if (part.disposition === dispositions.reaction) return { type: 'reaction', emoji: text };
    const preview = mimi.extensions.get('siegel.preview') === true;
    return { type: 'text', text, ...(preview ? { preview } : {}) };
  }
  if (part.contentType === receiptType) return { ...fieldsOf(part.content), type: 'receipt' };
  const type = /^application\/vnd\.siegel\.([a-z-]+)\+cbor$/.exec(part.contentType)?.[1];
  return type !== undefined && knownTypes.has(type)
    ? { ...fieldsOf(part.content), type }
    : { type: 'unknown', contentType: part.contentType };
}

const knownTypes = new Set([
  'attachment',
  'location',
  'template',
  'buttons',
  'list',
  'choice',
  'typing',
  'resend-request',
  'resend',
  'account-notice',
  'profile',
  'sync',
]);

function bodyOfStranger(mimi: MimiContent): Body {
  try {
    return Body.parse(bodyOf(mimi));
  } catch (error) {
    throw new ContentMalformed('content is malformed: body', { cause: error });
  }
}

/** @throws ContentMalformed for whatever is not a content; nothing else is thrown for any octets */
export function decodeContent(bytes: Uint8Array): Content {
  const mimi = decodeMimi(bytes);
  return {
    salt: mimi.salt,
    body: bodyOfStranger(mimi),
    ...(mimi.inReplyTo ? { inReplyTo: MessageId.parse(toBase64Url(mimi.inReplyTo)) } : {}),
    ...(mimi.replaces ? { replaces: MessageId.parse(toBase64Url(mimi.replaces)) } : {}),
    ...(mimi.expires && !mimi.expires.relative ? { expiresAt: mimi.expires.seconds } : {}),
    ...(mimi.extensions.get(automatedExtension) === true ? { automated: true } : {}),
  };
}

/** The envelope kind a body must travel under; class `message` exactly for `free-form` and `template`. */
export function envelopeKindOf(body: Body): EnvelopeKind {
  switch (body.type) {
    case 'template':
      return 'template';
    case 'receipt':
      return 'receipt';
    case 'typing':
      return 'typing';
    case 'resend-request':
    case 'resend':
      return 'resend-request';
    case 'account-notice':
    case 'profile':
      return 'notice';
    case 'sync':
      return 'sync';
    default:
      return 'free-form';
  }
}
