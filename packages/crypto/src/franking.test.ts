// A report shows content, key, commitment and the relay's tag: all four must belong together,
// months later too.

import { AccountId, ClientId, ConversationId, DeviceId } from '@siegel/protocol/ids';
import { describe, expect, it } from 'vitest';
import { utf8 } from './bytes.ts';
import { makeCommitment, type Report, verifyCommitment, verifyReport } from './franking.ts';
import { makeRelayTag, type TagKey, verifyRelayTag } from './relay-tag.ts';

const uuid = '00000000-0000-4000-8000-000000000001';
const frankingKey = new Uint8Array(32).fill(3);
const content = utf8('something one would report');
const commitment = makeCommitment(content, frankingKey);
const tagged = {
  commitment,
  sender: { accountId: AccountId.parse(uuid), deviceId: DeviceId.parse(2) },
  conversationId: ConversationId.parse(uuid),
  clientId: ClientId.parse(uuid),
  acceptedAt: 1_800_000_000_000,
};
const oldKey: TagKey = { keyId: '2026-11', key: new Uint8Array(32).fill(1) };
const newKey: TagKey = { keyId: '2027-01', key: new Uint8Array(32).fill(2) };
const tag = makeRelayTag(tagged, oldKey);
const report: Report = { content, frankingKey, tagged, tag };

describe('a commitment', () => {
  it('opens with its content and key, and with no other', () => {
    expect(verifyCommitment(content, frankingKey, commitment)).toBe(true);
    expect(verifyCommitment(utf8('something else'), frankingKey, commitment)).toBe(false);
    expect(verifyCommitment(content, new Uint8Array(32), commitment)).toBe(false);
    expect(verifyCommitment(content, frankingKey, 'not base64url!')).toBe(false);
  });

  it('has one key: a shorter one that HMAC would pad to the same is refused', () => {
    const padded = Uint8Array.from([...frankingKey.subarray(0, 31), 0]);
    const same = makeCommitment(content, padded);
    expect(makeCommitment(content, padded.subarray(0, 31))).toBe(same);
    expect(verifyCommitment(content, padded.subarray(0, 31), same)).toBe(false);
  });
});

describe('a relay tag', () => {
  it('is believed under an old key as long as that is kept', () => {
    expect(verifyRelayTag(tagged, tag, [newKey, oldKey])).toBe(true);
    expect(verifyRelayTag(tagged, tag, [newKey])).toBe(false);
  });

  it('covers every field', () => {
    const other = '00000000-0000-4000-8000-000000000002';
    const changes = [
      { commitment: makeCommitment(content, new Uint8Array(32)) },
      { sender: { ...tagged.sender, accountId: AccountId.parse(other) } },
      { sender: { ...tagged.sender, deviceId: DeviceId.parse(3) } },
      { conversationId: ConversationId.parse(other) },
      { clientId: ClientId.parse(other) },
      { acceptedAt: tagged.acceptedAt + 1 },
    ];
    for (const change of changes) {
      expect(verifyRelayTag({ ...tagged, ...change }, tag, [oldKey])).toBe(false);
    }
    expect(verifyRelayTag(tagged, { ...tag, value: '%%%' }, [oldKey])).toBe(false);
  });
});

describe('a report', () => {
  it('is authentic only as a whole', () => {
    expect(verifyReport(report, [oldKey])).toEqual({ outcome: 'authentic' });
    expect(verifyReport({ ...report, content: utf8('put in their mouth') }, [oldKey])).toEqual({
      outcome: 'commitment-mismatch',
    });
    const blamed = { ...tagged, sender: { ...tagged.sender, deviceId: DeviceId.parse(9) } };
    expect(verifyReport({ ...report, tagged: blamed }, [oldKey])).toEqual({
      outcome: 'tag-invalid',
    });
  });
});
