// A webhook about media names the SHA-256 of the file, so the file is fetched and opened before the first attempt. From then
// on the event's body stays as it is.

import { webhookError } from '@siegel/protocol/cloud-api';
import type { GatewayContext } from '../gateway-context.ts';
import { mediaBytes } from '../media/outgoing-media.ts';
import { fixBody, type WaitingEvent } from './queue.ts';

/** Tries for about an hour; then the message is told of without its file. */
const attemptsMax = 12;

type Message = Record<string, unknown> & { type: string };
type MediaBody = { entry: [{ changes: [{ value: { messages: [Message] } }] }] };

function withHash(body: string, sha256: Uint8Array): MediaBody {
  const value = JSON.parse(body) as MediaBody;
  const message = value.entry[0].changes[0].value.messages[0];
  const media = message[message.type] as Record<string, unknown>;
  media['sha256'] = Buffer.from(sha256).toString('base64');
  return value;
}

function withoutFile(body: string): MediaBody {
  const value = JSON.parse(body) as MediaBody;
  const message = value.entry[0].changes[0].value.messages[0];
  const { type } = message;
  delete message[type];
  Object.assign(message, {
    type: 'unsupported',
    unsupported: { type },
    errors: [webhookError({ code: 131052 })],
  });
  return value;
}

/** The body to send, or undefined: not yet, try again later. */
export async function completeMedia(
  context: GatewayContext,
  event: WaitingEvent,
): Promise<string | undefined> {
  const { database, log } = context;
  try {
    const stored = await mediaBytes(context, event.mediaId ?? '');
    const body =
      stored === undefined ? withoutFile(event.body) : withHash(event.body, stored.sha256);
    return await fixBody(database, event.eventId, body);
  } catch (error) {
    log.warn({ eventId: event.eventId, name: (error as Error).name }, 'media not fetched yet');
    if (event.attempts < attemptsMax) return undefined;
    return fixBody(database, event.eventId, withoutFile(event.body));
  }
}
