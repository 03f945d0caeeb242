// Token buckets, and who counts as one address (S2).

import { describe, expect, it } from 'vitest';
import { addressKey, createRateLimiter, limitFor } from './rate-limits.ts';

describe('rate limits', () => {
  it('S2 a burst is let through, then as much as comes back with time', () => {
    let now = 0;
    const limiter = createRateLimiter(() => now);
    const limit = { burst: 3, perMinute: 6 };
    for (let round = 0; round < 3; round += 1) {
      expect(limiter.take('a', limit)).toEqual({ taken: true });
    }
    expect(limiter.take('a', limit)).toEqual({ taken: false, retryAfterSeconds: 10 });
    expect(limiter.take('b', limit)).toEqual({ taken: true });
    now += 9_999;
    expect(limiter.take('a', limit)).toEqual({ taken: false, retryAfterSeconds: 1 });
    now += 1;
    expect(limiter.peek('a', limit)).toEqual({ taken: true });
    expect(limiter.take('a', limit)).toEqual({ taken: true });
    now += 3_600_000;
    for (let round = 0; round < 3; round += 1) limiter.take('a', limit);
    expect(limiter.take('a', limit).taken).toBe(false);
  });

  it('S2 a clock that goes back gives nothing and takes nothing', () => {
    let now = 60_000;
    const limiter = createRateLimiter(() => now);
    const limit = { burst: 2, perMinute: 1 };
    limiter.take('a', limit);
    now = 0;
    expect(limiter.take('a', limit).taken).toBe(true);
    expect(limiter.take('a', limit).taken).toBe(false);
  });

  it('S2 a household is one address, whichever of its IPv6 addresses it uses', () => {
    expect(addressKey('192.0.2.7')).toBe('192.0.2.7');
    expect(addressKey('::ffff:192.0.2.7')).toBe('192.0.2.7');
    expect(addressKey('2001:db8:1:2:3:4:5:6')).toBe(addressKey('2001:DB8:1:2:ffff::1'));
    expect(addressKey('2001:db8:1:2::1')).not.toBe(addressKey('2001:db8:1:3::1'));
    expect(addressKey('2001:db8::1')).toBe('2001:db8:0:0');
    expect(addressKey('::1')).toBe('0:0:0:0');
    expect(addressKey('fe80::1%eth0')).toBe('fe80:0:0:0');
  });

  it('S2 an endpoint without a line of its own has the usual limits', () => {
    expect(limitFor('getAccount', 'person')).toEqual({ burst: 120, perMinute: 120 });
    expect(limitFor('submitMessage', 'business').perMinute).toBeGreaterThan(60_000);
  });
});
