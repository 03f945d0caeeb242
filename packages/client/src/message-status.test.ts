// A status only moves forward, whatever order the news comes in.

import { fc, test } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import type { MessageStatus } from './account-api.ts';
import { advanceStatus } from './message-status.ts';

const all: readonly MessageStatus[] = ['pending', 'sent', 'delivered', 'read', 'played', 'failed'];
const apply = (news: readonly MessageStatus[]): MessageStatus =>
  news.reduce<MessageStatus>((status, each) => advanceStatus(status, each) ?? status, 'pending');

describe('message status', () => {
  it('goes from pending to played', () => {
    expect(apply(['sent', 'delivered', 'read', 'played'])).toBe('played');
  });

  it('ignores a late or repeated status', () => {
    expect(advanceStatus('read', 'delivered')).toBeUndefined();
    expect(advanceStatus('sent', 'sent')).toBeUndefined();
    expect(advanceStatus('delivered', 'sent')).toBeUndefined();
  });

  it('fails only what the relay has not taken', () => {
    expect(advanceStatus('pending', 'failed')).toBe('failed');
    expect(advanceStatus('sent', 'failed')).toBeUndefined();
    expect(advanceStatus('read', 'failed')).toBeUndefined();
  });

  it('believes a receipt more than a failure', () => {
    expect(advanceStatus('failed', 'sent')).toBeUndefined();
    expect(advanceStatus('failed', 'delivered')).toBe('delivered');
  });

  test.prop([fc.array(fc.constantFrom(...all)), fc.integer()])(
    'ends alike in whatever order the receipts come',
    (news, seed) => {
      const receipts = news.filter((each) => each !== 'failed');
      const shuffled = receipts.toSorted(
        (a, b) => ((all.indexOf(a) * 31 + seed) % 7) - ((all.indexOf(b) * 31 + seed) % 7),
      );
      expect(apply(shuffled)).toBe(apply(receipts));
    },
  );
});
