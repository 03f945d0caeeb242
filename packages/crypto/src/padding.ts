// Padmé padding (PURBs, PoPETs 2019/4 §4): hides a length in O(log log n) bits at no more than 12 %
// overhead. Content passes here just before it is sealed, attachments before they are cut into
// records.

import { limits } from '@siegel/protocol/limits';

/**
 * The padded length for `length` octets, at least `limits.paddedBytesMin`. As in the paper: with E
 * = ⌊log₂ L⌋ and S = ⌊log₂ E⌋ + 1, the length is rounded up until its lowest E − S bits are zero.
 */
export function paddedLength(length: number): number {
  const wanted = Math.max(length, limits.paddedBytesMin);
  const exponent = floorLog2(wanted);
  const significantBits = floorLog2(exponent) + 1;
  // Powers instead of shifts: a length may pass 2^31.
  const step = 2 ** (exponent - significantBits);
  return Math.ceil(wanted / step) * step;
}

/** Exact for all safe integers, which Math.log2 is not. */
const floorLog2 = (value: number): number => Math.floor(value).toString(2).length - 1;

const lengthBytes = 4;

/** Length (4 octets, big endian), the octets, zeros up to the Padmé length of both. */
export function padFrame(frame: Uint8Array): Uint8Array {
  const padded = new Uint8Array(paddedLength(lengthBytes + frame.length));
  new DataView(padded.buffer).setUint32(0, frame.length);
  padded.set(frame, lengthBytes);
  return padded;
}

/**
 * Undoes `padFrame`; undefined unless the padding is exactly what `padFrame` would have written.
 */
export function unpadFrame(padded: Uint8Array): Uint8Array | undefined {
  if (padded.length < lengthBytes) return undefined;
  const length = new DataView(padded.buffer, padded.byteOffset).getUint32(0);
  if (padded.length !== paddedLength(lengthBytes + length)) return undefined;
  const end = lengthBytes + length;
  return padded.subarray(end).every((octet) => octet === 0)
    ? padded.subarray(lengthBytes, end)
    : undefined;
}
