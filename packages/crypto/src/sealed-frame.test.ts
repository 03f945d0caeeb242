// The frame inside MLS: one spelling, padded, back exactly or not at all.

import { encode } from 'cborg';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { padFrame } from './padding.ts';
import { readSealedFrame, writeSealedFrame } from './sealed-frame.ts';

const frankingKey = new Uint8Array(32).fill(5);

describe('a sealed frame', () => {
  it('comes back as it was written', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), (content) => {
        expect(readSealedFrame(writeSealedFrame({ frankingKey, content }))).toEqual({
          frankingKey,
          content,
        });
      }),
    );
  });

  it('is refused in any other form', () => {
    const content = Uint8Array.of(1);
    const wrong: unknown[] = [
      [2, frankingKey, content],
      [1, frankingKey.subarray(1), content],
      [1, frankingKey, 'text'],
      [1, frankingKey, content, 0],
      [1, frankingKey],
      { 0: 1 },
    ];
    for (const value of wrong) expect(readSealedFrame(padFrame(encode(value)))).toBeUndefined();
    // The same array, its head written with one octet more than RFC 8949 §4.2 allows.
    const head = encode([1, frankingKey, content]);
    const longer = Uint8Array.of(0x98, 3, ...head.subarray(1));
    expect(readSealedFrame(padFrame(longer))).toBeUndefined();
    expect(readSealedFrame(padFrame(Uint8Array.of(...head, 0)))).toBeUndefined();
    expect(readSealedFrame(encode([1, frankingKey, content]))).toBeUndefined();
  });

  it('is refused, never thrown, for any octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        expect(readSealedFrame(bytes)).toBeUndefined();
        expect(readSealedFrame(padFrame(bytes))).toBeUndefined();
      }),
    );
  });
});
