// MLS messages to octets and back (RFC 9420 §6). ts-mls throws on some malformed input and answers
// undefined on other; here both are undefined, and trailing octets are malformed.

import {
  decodeMlsMessage,
  encodeMlsMessage,
  type MLSMessage,
  type MlsMessageContent,
} from 'ts-mls';

export function parseMessage(bytes: Uint8Array): MLSMessage | undefined {
  try {
    const decoded = decodeMlsMessage(bytes, 0);
    return decoded !== undefined && decoded[1] === bytes.length ? decoded[0] : undefined;
  } catch {
    return undefined;
  }
}

export const writeMessage = (content: MlsMessageContent): Uint8Array =>
  encodeMlsMessage({ version: 'mls10', ...content });
