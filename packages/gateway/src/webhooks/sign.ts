// The headers that prove where a webhook comes from: Meta's own signature, and ours against replay.

import { createHmac } from 'node:crypto';
import { webhookHeaders } from '@siegel/protocol/cloud-api';

const hmac = (key: string, text: string): string =>
  createHmac('sha256', key).update(text, 'utf8').digest('hex');

/** `body` is the exact text that is sent; it is ASCII, so text and bytes are the same. */
export function signedHeaders(input: {
  appSecret: string;
  body: string;
  eventId: string;
  /** seconds since 1970 */
  timestamp: number;
}): Record<string, string> {
  const { appSecret, body, eventId, timestamp } = input;
  return {
    'content-type': 'application/json',
    'user-agent': 'facebookexternalua',
    [webhookHeaders.signature]: `sha256=${hmac(appSecret, body)}`,
    [webhookHeaders.delivery]: eventId,
    [webhookHeaders.timestamp]: String(timestamp),
    // The body begins with a brace, so this can never be taken for the signature above.
    [webhookHeaders.replaySignature]: `v1=${hmac(appSecret, `${eventId}.${timestamp}.${body}`)}`,
  };
}
