// The container of every sealed content: draft-ietf-mimi-content-08 in deterministic CBOR. It knows parts, not what Siegel puts in them.

import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import * as z from 'zod/mini';

/** Octets, at most `max` and at least `min` of them. */
export const octets = (max: number, min = 0) =>
  z.custom<Uint8Array>(
    (bytes) => bytes instanceof Uint8Array && bytes.length >= min && bytes.length <= max,
    `octets: ${min} to ${max}`,
  );

/** Dispositions of draft-ietf-mimi-content-08 §4.6.1. */
export const dispositions = {
  unspecified: 0,
  render: 1,
  reaction: 2,
  profile: 3,
  inline: 4,
  icon: 5,
  attachment: 6,
  session: 7,
  preview: 8,
} as const;

const Disposition = z.int().check(z.minimum(0), z.maximum(255));
const Language = z.string().check(z.maxLength(35));
const MediaType = z.string().check(z.maxLength(127));

export const NullPart = z.object({
  disposition: Disposition,
  language: Language,
  part: z.literal('null'),
});
export const SinglePart = z.object({
  disposition: Disposition,
  language: Language,
  part: z.literal('single'),
  contentType: MediaType,
  content: octets(64 * 1024),
});
export const ExternalPart = z.object({
  disposition: Disposition,
  language: Language,
  part: z.literal('external'),
  contentType: MediaType,
  url: z.string().check(z.maxLength(2048)),
  /** seconds since 1970, 0 for never */
  expires: z.int(),
  /** octets of the plaintext */
  size: z.int(),
  /** IANA AEAD number, 0 for none */
  encAlg: z.int(),
  key: octets(64),
  nonce: octets(64),
  aad: octets(256),
  /** IANA hash number (1 is SHA-256), 0 for none */
  hashAlg: z.int(),
  contentHash: octets(64),
  description: z.string().check(z.maxLength(4096)),
  filename: z.string().check(z.maxLength(240)),
});
export type NullPart = z.infer<typeof NullPart>;
export type SinglePart = z.infer<typeof SinglePart>;
export type ExternalPart = z.infer<typeof ExternalPart>;
export type MultiPart = {
  disposition: number;
  language: string;
  part: 'multi';
  semantics: number;
  parts: NestedPart[];
};
export type NestedPart = NullPart | SinglePart | ExternalPart | MultiPart;

export type MimiContent = {
  /** 16 random octets */
  salt: Uint8Array;
  replaces: Uint8Array | null;
  topicId: Uint8Array;
  expires: { relative: boolean; seconds: number } | null;
  inReplyTo: Uint8Array | null;
  extensions: Map<string | number, unknown>;
  part: NestedPart;
};

/** Parts may nest this deep; deeper is malformed. */
const depthMax = 4;
const partsMax = 16;

/** Thrown by the decoder for anything that is not well-formed; the message names the place, never the content. */
export class ContentMalformed extends Error {
  override readonly name = 'ContentMalformed';
}

const malformed = (place: string): never => {
  throw new ContentMalformed(`content is malformed: ${place}`);
};

function partToArray(part: NestedPart): unknown[] {
  const head = [part.disposition, part.language];
  switch (part.part) {
    case 'null':
      return [...head, 0];
    case 'single':
      return [...head, 1, part.contentType, part.content];
    case 'external':
      return [
        ...head,
        2,
        part.contentType,
        part.url,
        part.expires,
        part.size,
        part.encAlg,
        part.key,
        part.nonce,
        part.aad,
        part.hashAlg,
        part.contentHash,
        part.description,
        part.filename,
      ];
    case 'multi':
      return [...head, 3, part.semantics, part.parts.map(partToArray)];
  }
}

function multiFromArray(values: unknown[], depth: number): MultiPart {
  const [disposition, language, , semantics, parts] = values;
  if (!Array.isArray(parts) || parts.length < 2 || parts.length > partsMax)
    return malformed('parts');
  return {
    disposition: Disposition.parse(disposition),
    language: Language.parse(language),
    part: 'multi',
    semantics: z.int().check(z.minimum(0), z.maximum(2)).parse(semantics),
    parts: parts.map((part) => partFromArray(part, depth + 1)),
  };
}

function partFromArray(value: unknown, depth: number): NestedPart {
  if (!Array.isArray(value) || depth > depthMax) return malformed('part');
  const [disposition, language, cardinality, ...rest] = value;
  switch (cardinality) {
    case 0:
      return NullPart.parse({ disposition, language, part: 'null' });
    case 1:
      return SinglePart.parse({
        disposition,
        language,
        part: 'single',
        contentType: rest[0],
        content: rest[1],
      });
    case 2: {
      const [
        contentType,
        url,
        expires,
        size,
        encAlg,
        key,
        nonce,
        aad,
        hashAlg,
        contentHash,
        description,
        filename,
      ] = rest;
      return ExternalPart.parse({
        disposition,
        language,
        part: 'external',
        contentType,
        url,
        expires,
        size,
        encAlg,
        key,
        nonce,
        aad,
        hashAlg,
        contentHash,
        description,
        filename,
      });
    }
    case 3:
      return multiFromArray(value, depth);
    default:
      return malformed('cardinality');
  }
}

/** Deterministic octets (RFC 8949 §4.2) of a content. Equal contents give equal octets. */
export function encodeMimi(content: MimiContent): Uint8Array {
  return encode(
    [
      content.salt,
      content.replaces,
      content.topicId,
      content.expires ? [content.expires.relative, content.expires.seconds] : null,
      content.inReplyTo,
      content.extensions,
      partToArray(content.part),
    ],
    rfc8949EncodeOptions,
  );
}

const Expiration = z.tuple([z.boolean(), z.int().check(z.minimum(0), z.maximum(2 ** 32 - 1))]);
const Reference = z.nullable(octets(32, 32));

/** @throws ContentMalformed */
export function decodeMimi(bytes: Uint8Array): MimiContent {
  try {
    const value: unknown = decode(bytes, { useMaps: true, rejectDuplicateMapKeys: true });
    if (!Array.isArray(value) || value.length !== 7) return malformed('container');
    const [salt, replaces, topicId, expires, inReplyTo, extensions, part] = value;
    const expiration = z.nullable(Expiration).parse(expires);
    return {
      salt: octets(16, 16).parse(salt),
      replaces: Reference.parse(replaces),
      topicId: octets(64).parse(topicId),
      expires: expiration && { relative: expiration[0], seconds: expiration[1] },
      inReplyTo: Reference.parse(inReplyTo),
      extensions: z.map(z.union([z.string(), z.int()]), z.unknown()).parse(extensions),
      part: partFromArray(part, 0),
    };
  } catch (error) {
    if (error instanceof ContentMalformed) throw error;
    throw new ContentMalformed('content is malformed', { cause: error });
  }
}
