// The body of a webhook: one envelope, one entry, one change, one event. Readers ignore what they do not know.

import * as z from 'zod/mini';
import { WebhookError } from './errors.ts';

/** Header names of a delivery, and what stands in them. */
export const webhookHeaders = {
  /** `sha256=` and the hex HMAC-SHA-256 of the exact body under the app secret */
  signature: 'x-hub-signature-256',
  /** stable id of the event: the same through every retry */
  delivery: 'x-siegel-delivery',
  /** seconds since 1970 of this attempt */
  timestamp: 'x-siegel-timestamp',
  /** `v1=` and the hex HMAC-SHA-256 of `<delivery>.<timestamp>.<body>` under the app secret */
  replaySignature: 'x-siegel-signature',
} as const;

export const WebhookContact = z.looseObject({
  profile: z.optional(z.looseObject({ name: z.optional(z.string()) })),
  wa_id: z.optional(z.string()),
  user_id: z.optional(z.string()),
});
export type WebhookContact = z.infer<typeof WebhookContact>;

export const WebhookMedia = z.looseObject({
  id: z.string(),
  mime_type: z.string(),
  sha256: z.optional(z.string()),
  caption: z.optional(z.string()),
  filename: z.optional(z.string()),
  voice: z.optional(z.boolean()),
  animated: z.optional(z.boolean()),
  url: z.optional(z.string()),
});
export type WebhookMedia = z.infer<typeof WebhookMedia>;

const Reply = z.looseObject({
  id: z.string(),
  title: z.string(),
  description: z.optional(z.string()),
});

export const InboundMessage = z.looseObject({
  /** digits; absent when the firm does not know the number */
  from: z.optional(z.string()),
  from_user_id: z.optional(z.string()),
  id: z.string(),
  /** seconds since 1970 */
  timestamp: z.string(),
  type: z.string(),
  context: z.optional(z.looseObject({ from: z.optional(z.string()), id: z.optional(z.string()) })),
  text: z.optional(z.looseObject({ body: z.string() })),
  image: z.optional(WebhookMedia),
  video: z.optional(WebhookMedia),
  audio: z.optional(WebhookMedia),
  document: z.optional(WebhookMedia),
  sticker: z.optional(WebhookMedia),
  location: z.optional(
    z.looseObject({
      latitude: z.number(),
      longitude: z.number(),
      name: z.optional(z.string()),
      address: z.optional(z.string()),
    }),
  ),
  reaction: z.optional(z.looseObject({ message_id: z.string(), emoji: z.optional(z.string()) })),
  interactive: z.optional(
    z.looseObject({
      type: z.string(),
      button_reply: z.optional(Reply),
      list_reply: z.optional(Reply),
    }),
  ),
  button: z.optional(z.looseObject({ payload: z.string(), text: z.string() })),
  edit: z.optional(
    z.looseObject({
      original_message_id: z.string(),
      message: z.looseObject({ type: z.string() }),
    }),
  ),
  revoke: z.optional(z.looseObject({ original_message_id: z.string() })),
  unsupported: z.optional(z.looseObject({ type: z.string() })),
  errors: z.optional(z.array(WebhookError)),
});
export type InboundMessage = z.infer<typeof InboundMessage>;

export const statusWords = ['sent', 'delivered', 'read', 'played', 'failed'] as const;

export const WebhookStatus = z.looseObject({
  id: z.string(),
  status: z.string(),
  timestamp: z.string(),
  recipient_id: z.optional(z.string()),
  recipient_user_id: z.optional(z.string()),
  biz_opaque_callback_data: z.optional(z.string()),
  errors: z.optional(z.array(WebhookError)),
});
export type WebhookStatus = z.infer<typeof WebhookStatus>;

/** `value` of a change whose field is `messages`. */
export const MessagesValue = z.looseObject({
  messaging_product: z.literal('whatsapp'),
  metadata: z.looseObject({ display_phone_number: z.string(), phone_number_id: z.string() }),
  contacts: z.optional(z.array(WebhookContact)),
  messages: z.optional(z.array(InboundMessage)),
  statuses: z.optional(z.array(WebhookStatus)),
  errors: z.optional(z.array(WebhookError)),
});
export type MessagesValue = z.infer<typeof MessagesValue>;

export const WebhookBody = z.looseObject({
  object: z.literal('whatsapp_business_account'),
  entry: z.array(
    z.looseObject({
      /** the WABA */
      id: z.string(),
      changes: z.array(
        z.looseObject({ field: z.string(), value: z.record(z.string(), z.unknown()) }),
      ),
    }),
  ),
});
export type WebhookBody = z.infer<typeof WebhookBody>;

/** The events of a body, whatever its batching; unknown fields and shapes are left out. */
export function messageValuesOf(body: WebhookBody): MessagesValue[] {
  return body.entry
    .flatMap((entry) => entry.changes)
    .filter((change) => change.field === 'messages')
    .map((change) => MessagesValue.safeParse(change.value))
    .flatMap((parsed) => (parsed.success ? [parsed.data] : []));
}
