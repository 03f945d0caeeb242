// Message ids and user ids as clients see them.

import { BusinessScopedUserId, Wamid } from '@siegel/protocol/cloud-api';
import { ClientId, MessageId } from '@siegel/protocol/ids';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readNumber } from './outbound/read-number.ts';
import { userIdOf } from './user-id.ts';
import { clientIdOf, incomingWamid, incomingWamidByContent, outgoingWamid } from './wamid.ts';

test('a wamid leads back to its client id, in its own direction only', () => {
  fc.assert(
    fc.property(fc.uuid(), (text) => {
      const clientId = ClientId.parse(text);
      const wamid = outgoingWamid(clientId);
      expect(Wamid.safeParse(wamid).success).toBe(true);
      expect(clientIdOf(wamid)).toBe(clientId);
      expect(clientIdOf(incomingWamid(clientId))).toBeUndefined();
      expect(incomingWamid(clientId)).not.toBe(wamid);
    }),
  );
  expect(clientIdOf('wamid.HBgLMTY1MDM4Nzk0MzkVAgARGBI3N0ExNUYwQUQ5NEI')).toBeUndefined();
  expect(clientIdOf('nonsense')).toBeUndefined();
});

test('a message named by its content has a third kind of wamid', () => {
  const messageId = MessageId.parse(Buffer.alloc(32, 7).toString('base64url'));
  expect(incomingWamidByContent(messageId)).toMatch(/^wamid\.Aw/);
});

test('a user id is stable, says nothing, and differs between businesses', () => {
  const base = { secret: new Uint8Array(32), country: 'DE', subject: 'a' };
  const id = userIdOf(base);
  expect(BusinessScopedUserId.safeParse(id).success).toBe(true);
  expect(id).toMatch(/^DE\.[0-9A-Za-z]{32}$/);
  expect(userIdOf(base)).toBe(id);
  expect(userIdOf({ ...base, subject: 'b' })).not.toBe(id);
  expect(userIdOf({ ...base, secret: new Uint8Array(32).fill(1) })).not.toBe(id);
});

test.each([
  ['+4915123456789', '+4915123456789'],
  ['4915123456789', '+4915123456789'],
  ['004915123456789', '+4915123456789'],
  ['+49 (0) 151 / 234-567.89', '+4915123456789'],
  ['\u202a+49 151 23456789\u202c', '+4915123456789'],
  ['+52 1 55 1234 5678', '+525512345678'],
  ['+54 11 2345 6789', '+541123456789'.replace('+54', '+549')],
  ['+54 9 11 2345 6789', '+5491123456789'],
  ['0151 23456789', undefined],
  ['12345', undefined],
  ['+49151234567890123', undefined],
  ['+49 151 CALLME', undefined],
  ['', undefined],
  ['+', undefined],
  ['٤٩١٥١٢٣٤٥٦٧٨٩', undefined],
])('%s is read as %s', (text, number) => {
  expect(readNumber(text)).toBe(number);
});
