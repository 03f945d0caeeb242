// Every error code the gateway can answer with: HTTP status, title and the sentence shown when nothing more exact is known.
// Clients key on `code` and `details`; `title` is for people.

import * as z from 'zod/mini';

type CodeEntry = { readonly http: number; readonly title: string; readonly details: string };

export const cloudApiErrors = {
  0: {
    http: 401,
    title: 'AuthException',
    details: 'The access token could not be authenticated.',
  },
  1: { http: 400, title: 'API Unknown', details: 'The request could not be understood.' },
  2: {
    http: 503,
    title: 'API Service',
    details: 'The service is being stopped or is too busy; try again shortly.',
  },
  4: { http: 429, title: 'API Too Many Calls', details: 'Too many calls; try again later.' },
  10: {
    http: 403,
    title: 'Permission Denied',
    details: 'This access token does not have the permission needed here.',
  },
  100: { http: 400, title: 'Invalid parameter', details: 'A parameter is not valid.' },
  190: {
    http: 401,
    title: 'Invalid OAuth access token',
    details: 'The access token is missing, unknown, revoked or expired.',
  },
  2500: { http: 400, title: 'Unknown path components', details: 'There is nothing at this path.' },
  130429: {
    http: 429,
    title: 'Rate limit hit',
    details: 'Messages are being sent faster than allowed; try again later.',
  },
  131000: {
    http: 500,
    title: 'Something went wrong',
    details: 'Something went wrong here. It has been noted.',
  },
  131005: {
    http: 403,
    title: 'Access denied',
    details: 'The number or the account lacks the right to do this.',
  },
  131008: {
    http: 400,
    title: 'Required parameter is missing',
    details: 'A required parameter is missing.',
  },
  131009: {
    http: 400,
    title: 'Parameter value is not valid',
    details: 'The value of a parameter is not valid.',
  },
  131016: {
    http: 500,
    title: 'Service unavailable',
    details: 'A service needed for this cannot be reached; try again later.',
  },
  131021: {
    http: 400,
    title: 'Recipient cannot be sender',
    details: 'Sender and recipient are the same number.',
  },
  131026: {
    http: 400,
    title: 'Message undeliverable',
    details:
      'The message could not be delivered. The recipient may not use Siegel, may have no device, or may not wish to ' +
      'receive messages from this business. Check the number; do not send again without a new reason.',
  },
  131047: {
    http: 400,
    title: 'Re-engagement message',
    details:
      'More than 24 hours have passed since the recipient last wrote. Send an approved template message instead.',
  },
  131048: {
    http: 429,
    title: 'Spam rate limit hit',
    details:
      'The messaging limit or budget of this business has been reached. Wait until it renews, or raise it.',
  },
  131051: {
    http: 400,
    title: 'Unsupported message type',
    details: 'This type of message is not supported.',
  },
  131052: {
    http: 400,
    title: 'Media download error',
    details: 'The media that the person sent could not be downloaded.',
  },
  131053: {
    http: 400,
    title: 'Media upload error',
    details: 'The media could not be read or is of a kind that is not supported.',
  },
  131056: {
    http: 400,
    title: 'Pair rate limit hit',
    details:
      'Too many messages to this recipient in a short time. Wait a few seconds before the next one.',
  },
  132000: {
    http: 400,
    title: 'Template Param Count Mismatch',
    details: 'The number of parameters does not match the template.',
  },
  132001: {
    http: 404,
    title: 'Template does not exist',
    details: 'The template does not exist in this language, or has not been approved.',
  },
  132005: {
    http: 400,
    title: 'Template Hydrated Text Too Long',
    details: 'The text with its parameters filled in is too long.',
  },
  132012: {
    http: 400,
    title: 'Template Parameter Format Mismatch',
    details: 'A parameter does not have the format the template asks for.',
  },
  132015: {
    http: 400,
    title: 'Template is Paused',
    details: 'The template is paused. Change it and submit it again, or send another one.',
  },
  132016: {
    http: 400,
    title: 'Template is Disabled',
    details: 'The template has been disabled for good. Submit a new one.',
  },
  133010: {
    http: 400,
    title: 'Phone number Not Registered',
    details: 'This number is not connected. Enrol it before sending.',
  },
  137000: {
    http: 400,
    title: 'Recipient identity key hash mismatch',
    details: 'The identity key of the recipient could not be compared.',
  },
  2388023: {
    http: 400,
    title: 'Message template language is being deleted',
    details: 'A template of this name and language is being deleted.',
  },
  2388024: {
    http: 400,
    title: 'Content in this language already exists',
    details: 'There is already a template of this name and language.',
  },
} as const satisfies Record<number, CodeEntry>;

export type CloudApiCode = keyof typeof cloudApiErrors;

/** Why a call is refused, before it is put into the envelope of an answer or a webhook. */
export type CloudApiRefusal = {
  readonly code: CloudApiCode;
  /** the sentence for `error_data.details`; the table's when absent */
  readonly details?: string;
  /** 33: no such object. 463: token expired. */
  readonly subcode?: number;
  readonly retryAfterSeconds?: number;
};

/** Answer of a refused call. */
export const CloudApiErrorBody = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    code: z.int(),
    error_subcode: z.optional(z.int()),
    error_data: z.optional(
      z.union([
        z.object({ messaging_product: z.optional(z.string()), details: z.string() }),
        z.string(),
      ]),
    ),
    is_transient: z.optional(z.boolean()),
    error_user_title: z.optional(z.string()),
    error_user_msg: z.optional(z.string()),
    fbtrace_id: z.optional(z.string()),
  }),
});
export type CloudApiErrorBody = z.infer<typeof CloudApiErrorBody>;

/** An error inside a webhook. */
export const WebhookError = z.object({
  code: z.int(),
  title: z.string(),
  message: z.optional(z.string()),
  error_data: z.optional(z.object({ details: z.string() })),
  href: z.optional(z.string()),
});
export type WebhookError = z.infer<typeof WebhookError>;

export function webhookError(refusal: CloudApiRefusal): WebhookError {
  const { title, details } = cloudApiErrors[refusal.code];
  return {
    code: refusal.code,
    title,
    message: title,
    error_data: { details: refusal.details ?? details },
  };
}
