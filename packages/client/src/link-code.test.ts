// Linking codes are typed by people: what is read is what was shown, or a refusal.

import { fc, test as property } from '@fast-check/vitest';
import { nodeProvider } from '@siegel/crypto/node';
import { AccountId, DeviceId } from '@siegel/protocol/ids';
import { expect, test } from 'vitest';
import { fromBase32, toBase32 } from './base32.ts';
import { readEnrolmentCode } from './enrolment.ts';
import { completeProof, joinProof, newLinkCode, readLinkCode, writeLinkCode } from './link-code.ts';

const provider = await nodeProvider();

// RFC 4648 §10, without padding.
test.each([
  ['f', 'MY'],
  ['fo', 'MZXQ'],
  ['foo', 'MZXW6'],
  ['foob', 'MZXW6YQ'],
  ['fooba', 'MZXW6YTB'],
  ['foobar', 'MZXW6YTBOI'],
])('base32 of %s is %s', (plain, text) => {
  expect(toBase32(new TextEncoder().encode(plain))).toBe(text);
  expect(new TextDecoder().decode(fromBase32(text))).toBe(plain);
});

property.prop([fc.uint8Array({ maxLength: 64 })])('base32 round trip', (bytes) => {
  expect(fromBase32(toBase32(bytes))).toEqual(bytes);
});

test('a linking code is read as it was written, however it is typed', () => {
  const code = newLinkCode(provider);
  const text = writeLinkCode(code);
  expect(text).toMatch(/^[A-Z2-7]{4}(-[A-Z2-7]{4}){7}$/);
  for (const typed of [
    text,
    text.toLowerCase(),
    text.replaceAll('-', ''),
    ` ${text.replaceAll('-', ' ')}\n`,
    text.replaceAll('O', '0').replaceAll('I', '1').replaceAll('B', '8'),
  ]) {
    expect(readLinkCode(typed)).toEqual(code);
  }
});

test.each(['', 'ABCD', `${'A'.repeat(31)}9`, 'A'.repeat(33), 'A'.repeat(100_000)])(
  'what is no linking code is refused',
  (typed) => {
    expect(readLinkCode(typed)).toBeUndefined();
  },
);

test('codes and secrets are never the same twice', () => {
  const codes = Array.from({ length: 50 }, () => writeLinkCode(newLinkCode(provider)));
  expect(new Set(codes).size).toBe(50);
});

test('a proof changes with every field and with the secret', async () => {
  const code = newLinkCode(provider);
  const device = {
    accountId: AccountId.parse('00000000-2222-4333-8444-555555555555'),
    deviceId: DeviceId.parse(2),
    certificate: 'a.b.c',
  };
  const leaf = provider.randomBytes(32);
  const proofs = [
    joinProof(provider, code, leaf),
    joinProof(provider, code, provider.randomBytes(32)),
    joinProof(provider, { ...code, linkId: newLinkCode(provider).linkId }, leaf),
    joinProof(provider, newLinkCode(provider), leaf),
    completeProof(provider, code, device),
    completeProof(provider, code, { ...device, deviceId: DeviceId.parse(3) }),
    completeProof(provider, code, { ...device, certificate: 'a.b.d' }),
    completeProof(provider, code, {
      ...device,
      accountId: AccountId.parse('10000000-2222-4333-8444-555555555555'),
    }),
  ];
  expect(new Set(await Promise.all(proofs)).size).toBe(proofs.length);
});

test('an enrolment code is read as it is typed', () => {
  const code = 'ABCD-EFGH-IJKL-MNOP-QRST-UVW2';
  expect(readEnrolmentCode(' abcd efgh ijkl mnop qrst uvw2 ')).toBe(code);
  expect(readEnrolmentCode('ABCD')).toBeUndefined();
  expect(readEnrolmentCode('A'.repeat(200))).toBeUndefined();
});
