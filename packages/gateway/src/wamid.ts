// Message ids as the Cloud API shows them: `wamid.` and base64 of one octet for the kind and sixteen of the id behind it.

import { ClientId, type MessageId, uuidBytes } from '@siegel/protocol/ids';

/** First octet: who chose the sixteen that follow. */
const kinds = { out: 1, in: 2, inByContent: 3 } as const;

const written = (kind: number, octets: Uint8Array): string =>
  `wamid.${Buffer.from([kind, ...octets]).toString('base64')}`;

/** Of a message this gateway sends. */
export const outgoingWamid = (clientId: ClientId): string =>
  written(kinds.out, uuidBytes(clientId));

/** Of a message a person sent. */
export const incomingWamid = (clientId: ClientId): string => written(kinds.in, uuidBytes(clientId));

/** For a person's message whose client id somebody used before: named by its content instead. */
export const incomingWamidByContent = (messageId: MessageId): string =>
  written(kinds.inByContent, Buffer.from(messageId, 'base64url').subarray(1, 17));

/** The client id behind an outgoing wamid; undefined for every other text. */
export function clientIdOf(wamid: string): ClientId | undefined {
  const octets = Buffer.from(wamid.replace(/^wamid\./, ''), 'base64');
  if (octets.length !== 17 || octets[0] !== kinds.out) return undefined;
  const hex = octets.subarray(1).toString('hex');
  const uuid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return ClientId.parse(uuid);
}
