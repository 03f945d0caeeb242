// `POST /{phone-number-id}/messages`: what clients really send, read into one exact shape or refused with a Cloud API code.

import * as z from 'zod/mini';
import { limits } from '../limits.ts';
import type { CloudApiRefusal } from './errors.ts';
import { absent, anyCase, looseBoolean, looseString } from './loose.ts';
import { InteractiveObject, unservedInteractive } from './send-interactive.ts';
import { BusinessScopedUserId, LocationObject, MediaObject, Wamid } from './send-parts.ts';
import { SendTemplateObject } from './send-template.ts';

export const mediaTypes = ['image', 'video', 'audio', 'document', 'sticker'] as const;
export type MediaType = (typeof mediaTypes)[number];

/** What a message says, one field named after its type. */
const payloads = {
  text: z.object({
    body: looseString(limits.textCharsMax),
    preview_url: absent(looseBoolean),
  }),
  image: MediaObject,
  video: MediaObject,
  audio: MediaObject,
  document: MediaObject,
  sticker: MediaObject,
  location: LocationObject,
  reaction: z.object({
    message_id: Wamid,
    emoji: z.pipe(
      absent(z.string().check(z.maxLength(32))),
      z.transform((emoji) => emoji ?? ''),
    ),
  }),
  interactive: InteractiveObject,
  template: SendTemplateObject,
} as const;

export type SendType = keyof typeof payloads;
/** The payload of a message, tagged by its type. */
export type SendPayload = {
  [Type in SendType]: { type: Type; value: z.infer<(typeof payloads)[Type]> };
}[SendType];

/** Types the Cloud API knows and this gateway does not serve yet. */
const unservedTypes = ['contacts', 'pin', 'order', 'unsupported'];

const messageFields = z.object({
  recipient_type: absent(anyCase(['individual', 'group'])),
  to: absent(looseString(128)),
  recipient: absent(BusinessScopedUserId),
  context: absent(z.looseObject({ message_id: absent(Wamid) })),
  biz_opaque_callback_data: absent(looseString(512, 0)),
  recipient_identity_key_hash: absent(looseString(256)),
});

export type SendMessage = {
  /** as the client wrote it; it is echoed as `contacts[].input` */
  readonly to?: string;
  readonly recipient?: string;
  readonly inReplyTo?: string;
  readonly callbackData?: string;
  readonly payload: SendPayload;
};

export type MarkRead = { readonly messageId: string; readonly typing: boolean };

export type ParsedSend =
  | { readonly kind: 'message'; readonly message: SendMessage }
  | { readonly kind: 'read'; readonly read: MarkRead }
  | { readonly kind: 'refused'; readonly refusal: CloudApiRefusal };

type Issue = z.core.$ZodIssue;

/** The deepest issue of a union is the one that tells something. */
function leafIssue(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue;
  const inner = issue.errors.flat()[0];
  return inner === undefined ? issue : { ...inner, path: [...issue.path, ...inner.path] };
}

const isMissing = (issue: Issue): boolean =>
  issue.code === 'invalid_type' && issue.input === undefined;

/** One refusal for a failed parse: 131008 for what is missing, 100 for what is too long, else 131009. */
export function refusalOf(error: z.core.$ZodError, at: readonly string[] = []): CloudApiRefusal {
  const issue = leafIssue(error.issues[0] as Issue);
  const path = [...at, ...issue.path.map(String)].join('.');
  if (isMissing(issue)) return { code: 131008, details: `${path} is required.` };
  if (issue.code === 'too_small' && issue.origin === 'string') {
    return { code: 131008, details: `${path} must not be empty.` };
  }
  if (issue.code === 'too_big' && issue.origin === 'string') {
    return {
      code: 100,
      details: `Param ${path} must be at most ${issue.maximum} characters long.`,
    };
  }
  const why = issue.code === 'custom' || issue.code === 'invalid_format' ? issue.message : '';
  return { code: 131009, details: `${path} is not valid${why && `: ${why}`}.` };
}

const options = { reportInput: true } as const;
const refused = (refusal: CloudApiRefusal): ParsedSend => ({ kind: 'refused', refusal });

function parseRead(body: Record<string, unknown>): ParsedSend {
  const parsed = z
    .object({
      message_id: Wamid,
      typing_indicator: absent(z.looseObject({ type: absent(anyCase(['text'])) })),
    })
    .safeParse(body, options);
  if (!parsed.success) return refused(refusalOf(parsed.error));
  const { message_id: messageId, typing_indicator: typing } = parsed.data;
  return { kind: 'read', read: { messageId, typing: typing !== undefined } };
}

/** `type` may be absent: a request with one known payload says it by the payload; text is the default. */
function typeOf(body: Record<string, unknown>): string {
  const type = body['type'];
  if (typeof type === 'string') return type.toLowerCase();
  const named = Object.keys(payloads).filter((name) => body[name] != null);
  return named.length === 1 ? named[0]! : 'text';
}

const kindOf = (interactive: unknown): string | undefined =>
  typeof interactive === 'object' &&
  interactive !== null &&
  'type' in interactive &&
  typeof interactive.type === 'string'
    ? interactive.type
    : undefined;

function parsePayload(
  body: Record<string, unknown>,
): { payload: SendPayload } | { refusal: CloudApiRefusal } {
  const type = typeOf(body);
  if (!(type in payloads) || !Object.hasOwn(payloads, type)) {
    return unservedTypes.includes(type)
      ? { refusal: { code: 131051, details: `Messages of type ${type} are not served yet.` } }
      : { refusal: { code: 100, details: 'Param type is not a known message type.' } };
  }
  const raw = body[type] ?? undefined;
  const kind = type === 'interactive' ? kindOf(raw) : undefined;
  if (kind !== undefined && (unservedInteractive as readonly string[]).includes(kind)) {
    return {
      refusal: {
        code: 131051,
        details: `Interactive messages of type ${kind} are not served yet.`,
      },
    };
  }
  const parsed = payloads[type as SendType].safeParse(raw, options);
  if (!parsed.success) return { refusal: refusalOf(parsed.error, [type]) };
  return { payload: { type, value: parsed.data } as SendPayload };
}

function parseMessage(body: Record<string, unknown>): ParsedSend {
  const fields = messageFields.safeParse(body, options);
  if (!fields.success) return refused(refusalOf(fields.error));
  const { to, recipient, context, recipient_type: kind } = fields.data;
  if (kind === 'group') {
    return refused({ code: 131009, details: 'recipient_type group is not served yet.' });
  }
  if (to === undefined && recipient === undefined) {
    return refused({ code: 131008, details: 'to or recipient is required.' });
  }
  if (fields.data.recipient_identity_key_hash !== undefined) {
    // Ignoring it would send to a changed identity, which is what the field forbids.
    return refused({ code: 131009, details: 'recipient_identity_key_hash is not served yet.' });
  }
  const payload = parsePayload(body);
  if ('refusal' in payload) return refused(payload.refusal);
  const data = fields.data.biz_opaque_callback_data;
  return {
    kind: 'message',
    message: {
      payload: payload.payload,
      ...(to === undefined ? {} : { to }),
      ...(recipient === undefined ? {} : { recipient }),
      ...(context?.message_id === undefined ? {} : { inReplyTo: context.message_id }),
      ...(data === undefined ? {} : { callbackData: data }),
    },
  };
}

/** Reads the JSON body of a send, a read mark or a typing indicator. Unknown fields are ignored. */
export function parseSend(value: unknown): ParsedSend {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refused({ code: 100, details: 'The request body must be a JSON object.' });
  }
  const body = value as Record<string, unknown>;
  if (body['messaging_product'] !== 'whatsapp') {
    return refused({ code: 100, details: 'The parameter messaging_product must be "whatsapp".' });
  }
  if (body['status'] === undefined || body['status'] === null) return parseMessage(body);
  if (body['status'] === 'read') return parseRead(body);
  return refused({ code: 131009, details: 'status is not valid: only read can be set.' });
}

/** Answer of an accepted send. Accepted is not sent: that comes by webhook. */
export const SendResponse = z.object({
  messaging_product: z.literal('whatsapp'),
  contacts: z.array(
    z.object({
      input: z.string(),
      wa_id: z.optional(z.string()),
      user_id: z.optional(z.string()),
    }),
  ),
  messages: z.array(z.object({ id: Wamid, message_status: z.optional(z.string()) })),
});
export type SendResponse = z.infer<typeof SendResponse>;
