// What a webhook tells, and waiting for the one that tells something.
import {
  type InboundMessage,
  type MessagesValue,
  messageValuesOf,
  WebhookBody,
  type WebhookStatus,
} from '@siegel/protocol/cloud-api';
import type { RecordedWebhook, WebhookSink } from '@siegel/testkit';

/** The event of a webhook: the gateway sends one in each. */
export function readWebhook(record: RecordedWebhook): MessagesValue {
  const values = messageValuesOf(WebhookBody.parse(record.body));
  if (values.length !== 1) throw new Error(`A webhook with ${values.length} events.`);
  return values[0]!;
}

export const messageOf = (record: RecordedWebhook): InboundMessage | undefined =>
  readWebhook(record).messages?.[0];

export const statusOf = (record: RecordedWebhook): WebhookStatus | undefined =>
  readWebhook(record).statuses?.[0];

const bounded = { timeoutMs: 30_000 };

export const waitForStatus = (
  sink: WebhookSink,
  wamid: string,
  status: 'sent' | 'delivered' | 'read' | 'failed',
): Promise<RecordedWebhook> =>
  sink.waitFor((record) => {
    const told = statusOf(record);
    return told?.id === wamid && told.status === status;
  }, bounded);

export const waitForText = (sink: WebhookSink, text: string): Promise<RecordedWebhook> =>
  sink.waitFor((record) => messageOf(record)?.text?.body === text, bounded);

/** All that was told about a message, in the order of its coming. */
export const statusesOf = (sink: WebhookSink, wamid: string): WebhookStatus[] =>
  sink.received.map(statusOf).flatMap((told) => (told?.id === wamid ? [told] : []));
