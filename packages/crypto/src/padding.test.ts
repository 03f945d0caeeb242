// Padmé against the paper's own definition, and frames that come back exactly or not at all.

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { paddedLength, padFrame, unpadFrame } from './padding.ts';

const log2 = (value: bigint): bigint => BigInt(value.toString(2).length - 1);

/** The pseudo-code of the paper with whole numbers only, as an independent reading. */
function padmeOfPaper(length: bigint): bigint {
  const exponent = log2(length);
  const lastBits = exponent - (log2(exponent) + 1n);
  const mask = (1n << lastBits) - 1n;
  return (length + mask) & ~mask;
}

describe('Padmé', () => {
  it('is what the paper says for every length up to 2^50', () => {
    fc.assert(
      fc.property(fc.integer({ min: 512, max: 2 ** 50 }), (length) => {
        expect(paddedLength(length)).toBe(Number(padmeOfPaper(BigInt(length))));
      }),
      { numRuns: 2000 },
    );
  });

  it('never shortens, costs at most 12 percent, and leaves its own answer alone', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 40 }), (length) => {
        const padded = paddedLength(length);
        expect(padded).toBeGreaterThanOrEqual(Math.max(length, 512));
        expect(padded).toBeLessThanOrEqual(Math.max(512, length * 1.12));
        expect(paddedLength(padded)).toBe(padded);
      }),
      { numRuns: 2000 },
    );
  });

  it('makes everything short the same length', () => {
    expect([0, 1, 100, 511, 512].map(paddedLength)).toEqual([512, 512, 512, 512, 512]);
    expect(paddedLength(513)).toBe(544);
  });
});

describe('a padded frame', () => {
  it('gives its octets back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), (bytes) => {
        const padded = padFrame(bytes);
        expect(padded.length).toBe(paddedLength(bytes.length + 4));
        expect(unpadFrame(padded)).toEqual(bytes);
      }),
    );
  });

  it('is refused with anything in its padding, a wrong length, or one octet more or less', () => {
    const padded = padFrame(Uint8Array.of(1, 2, 3));
    const changed = Uint8Array.from(padded);
    changed[400] = 1;
    const lengthened = Uint8Array.from(padded);
    lengthened[0] = 0xff;
    const wrong = [
      changed,
      lengthened,
      padded.subarray(1),
      padded.subarray(0, -1),
      new Uint8Array(3),
    ];
    for (const bytes of [...wrong, new Uint8Array(513)]) expect(unpadFrame(bytes)).toBeUndefined();
  });
});
