// Takes the mask off recorded WebSocket frames (RFC 6455 §5.2), so that a search sees what the
// application wrote.

export type Frame = {
  readonly opcode: number;
  readonly payload: Buffer;
};

const headerEnd = Buffer.from('\r\n\r\n');

function lengthOf(bytes: Buffer, at: number): { length: number; next: number } | undefined {
  const short = (bytes[at + 1] ?? 0) & 0x7f;
  if (short < 126) return { length: short, next: at + 2 };
  if (short === 126) {
    return bytes.length < at + 4 ? undefined : { length: bytes.readUInt16BE(at + 2), next: at + 4 };
  }
  if (bytes.length < at + 10) return undefined;
  return { length: Number(bytes.readBigUInt64BE(at + 2)), next: at + 10 };
}

function unmasked(payload: Buffer, mask: Buffer): Buffer {
  return Buffer.from(payload.map((byte, index) => byte ^ mask[index % 4]!));
}

/** All whole frames of one direction; empty when this is not the recording of a WebSocket. */
export function framesOf(stream: Buffer): Frame[] {
  const head = stream.indexOf(headerEnd);
  if (head < 0 || !/^upgrade: *websocket/im.test(stream.toString('latin1', 0, head))) return [];
  const frames: Frame[] = [];
  let at = head + headerEnd.length;
  while (at + 2 <= stream.length) {
    const measured = lengthOf(stream, at);
    if (measured === undefined) break;
    const isMasked = ((stream[at + 1] ?? 0) & 0x80) !== 0;
    const start = measured.next + (isMasked ? 4 : 0);
    const end = start + measured.length;
    if (end > stream.length) break;
    const payload = stream.subarray(start, end);
    const mask = stream.subarray(measured.next, start);
    frames.push({
      opcode: (stream[at] ?? 0) & 0x0f,
      payload: isMasked ? unmasked(payload, mask) : payload,
    });
    at = end;
  }
  return frames;
}
