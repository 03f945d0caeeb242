// Numbers that must not be guessed, and tokens that carry their bucket (A2, A4, E1).

import { randomBytes } from 'node:crypto';
import { bucketCount } from '@siegel/protocol/ids';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readToken, tokenInBucket } from './device-token.ts';
import { randomBelow, randomNumericId, toBase32 } from './octets.ts';

describe('octets', () => {
  it('A4 a device token is found in the bucket it was made for', () => {
    fc.assert(
      fc.property(
        fc.nat(bucketCount - 1),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (bucket, random) => {
          const read = readToken(tokenInBucket(bucket, random));
          expect(read?.bucket).toBe(bucket);
          expect(read?.hash).toHaveLength(32);
        },
      ),
    );
    expect(readToken('')).toBeUndefined();
    expect(readToken(`${'A'.repeat(42)}=`)).toBeUndefined();
    expect(readToken('A'.repeat(44))).toBeUndefined();
  });

  it('A2 every code is as likely as every other, as far as a sample shows', () => {
    const tens = Array.from({ length: 10 }, () => 0);
    for (let round = 0; round < 20_000; round += 1) {
      const drawn = randomBelow(randomBytes, 1_000_000);
      expect(drawn).toBeLessThan(1_000_000);
      tens[Math.floor(drawn / 100_000)]! += 1;
    }
    for (const count of tens) expect(Math.abs(count - 2000)).toBeLessThan(300);
  });

  it('A2 octets beyond the last whole round are drawn again', () => {
    const draws = [Buffer.alloc(7, 0xff), Buffer.alloc(7, 0)];
    expect(randomBelow(() => draws.shift() ?? Buffer.alloc(7), 10)).toBe(0);
    expect(draws).toHaveLength(0);
  });

  it('E1 base32 is that of RFC 4648', () => {
    expect(toBase32(Buffer.from('fooba'))).toBe('MZXW6YTB');
    expect(toBase32(randomBytes(15))).toMatch(/^[A-Z2-7]{24}$/);
  });

  it('T4 a numeric id has fifteen digits and fits a double', () => {
    for (let round = 0; round < 1000; round += 1) {
      const id = randomNumericId(randomBytes);
      expect(String(id)).toMatch(/^[1-9]\d{14}$/);
      expect(Number.isSafeInteger(id)).toBe(true);
    }
  });
});
