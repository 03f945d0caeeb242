// The bucket is read off an id; every id keeps its shape.

import { test } from '@fast-check/vitest';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AccountId, bucketCount, bucketOf, PhoneNumber, uuidBytes, uuidInBucket } from './ids.ts';

const sixteen = fc.uint8Array({ minLength: 16, maxLength: 16 });

describe('ids', () => {
  test.prop([fc.integer({ min: 0, max: bucketCount - 1 }), sixteen])(
    'an id made in a bucket is a version 4 UUID of that bucket',
    (bucket, random) => {
      const id = AccountId.parse(uuidInBucket(bucket, random));
      expect(bucketOf(id)).toBe(bucket);
      expect(id[14]).toBe('4');
      expect('89ab').toContain(id[19]);
    },
  );

  test.prop([fc.uuid()])('the octets of a UUID are its sixteen', (id) => {
    const hex = Buffer.from(uuidBytes(id)).toString('hex');
    expect(hex).toBe(id.replaceAll('-', ''));
  });

  it('random ids spread over all buckets', () => {
    const seen = new Set(
      Array.from({ length: 20_000 }, () => bucketOf(AccountId.parse(crypto.randomUUID()))),
    );
    expect(seen.size).toBe(bucketCount);
  });

  it.each(['4930123456', '+0301234567', '+49 30 123456', '+49', `+${'1'.repeat(16)}`, ''])(
    'the number %j is refused',
    (number) => expect(PhoneNumber.safeParse(number).success).toBe(false),
  );
});
