// Contents survive their own encoding; what is malformed is refused by name and never half-read.

import { readFileSync } from 'node:fs';
import { test } from '@fast-check/vitest';
import { encode } from 'cborg';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AccountId, ConversationId, MessageId } from '../ids.ts';
import type { Body } from './body.ts';
import { type Content, decodeContent, encodeContent, envelopeKindOf } from './content.ts';
import { fromBase64Url, messageIdOf, toBase64Url } from './message-id.ts';
import { ContentMalformed } from './mimi.ts';

const salt = new Uint8Array(16).fill(7);
const id = 'AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE' as MessageId;

const bodies: Body[] = [
  { type: 'text', text: 'Ihr Flug NW 204 geht um 14:05 von Gate B7 🛫' },
  { type: 'text', text: 'https://example.org', preview: true },
  { type: 'reaction', emoji: '👍' },
  { type: 'reaction', emoji: '' },
  { type: 'delete' },
  {
    type: 'attachment',
    media: 'image',
    contentType: 'image/png',
    blobId: 'AAAAAAAAAAAAAAAAAAAAAA',
    blobSecret: 'BBBBBBBBBBBBBBBBBBBBBB',
    bytes: 10,
    sealedBytes: 600,
    key: new Uint8Array(32).fill(1),
    sealedSha256: new Uint8Array(32).fill(2),
    caption: 'Bordkarte',
  },
  { type: 'location', latitude: 52.52, longitude: 13.405, name: 'Berlin' },
  {
    type: 'template',
    templateId: '123456789012345' as never,
    hash: new Uint8Array(32).fill(3),
    header: { values: [{ name: '1', type: 'text', text: 'NW 204' }] },
    body: [
      {
        name: '1',
        type: 'currency',
        text: '12,50 €',
        currency: { code: 'EUR', amount1000: 12_500 },
      },
    ],
    buttons: [{ index: 0, payload: 'STATUS' }],
  },
  { type: 'buttons', body: 'Wie können wir helfen?', buttons: [{ id: 'a', title: 'Status' }] },
  {
    type: 'list',
    body: 'Wählen Sie',
    button: 'Öffnen',
    sections: [{ rows: [{ id: '1', title: 'Gepäck' }] }],
  },
  { type: 'choice', of: 'button', id: 'a', title: 'Status' },
  { type: 'receipt', statuses: [{ messageId: id, status: 'read', at: 1 }] },
  { type: 'typing', active: true },
  { type: 'resend-request', clientIds: ['0f0e0d0c-0b0a-4908-8706-050403020100' as never] },
  { type: 'account-notice', notice: 'device-added', deviceId: 2 },
  { type: 'profile', displayName: 'Alice' },
  { type: 'sync', sync: { kind: 'setting', name: 'theme', value: 'dark' } },
];

describe('content', () => {
  it.each(bodies.map((body) => [body.type, body] as const))(
    'Y1 %s comes back as it was sealed',
    (_, body) => {
      const content: Content = {
        salt,
        body,
        inReplyTo: id,
        replaces: id,
        expiresAt: 5,
        automated: true,
      };
      expect(decodeContent(encodeContent(content))).toEqual(content);
    },
  );

  test.prop([fc.string({ unit: 'grapheme', minLength: 1, maxLength: 500 })])(
    'any text comes back letter for letter',
    (text) => {
      expect(decodeContent(encodeContent({ salt, body: { type: 'text', text } })).body).toEqual({
        type: 'text',
        text,
      });
    },
  );

  test.prop([fc.uint8Array({ maxLength: 400 })])(
    'Y3 random octets are refused, not read',
    (bytes) => {
      expect(() => decodeContent(bytes)).toThrow(ContentMalformed);
    },
  );

  test.prop([fc.constantFrom(...bodies), fc.nat(), fc.integer({ min: 1, max: 255 })])(
    'Y3 a changed octet is read as another content or refused by name, and nothing else',
    (body, at, by) => {
      const bytes = Uint8Array.from(encodeContent({ salt, body }));
      const place = at % bytes.length;
      bytes[place] = (bytes[place]! + by) & 0xff;
      try {
        expect(decodeContent(bytes).salt).toHaveLength(16);
      } catch (error) {
        if (!(error instanceof ContentMalformed)) throw error;
      }
    },
  );

  it.each([
    ['too much text', { type: 'text', text: 'x'.repeat(4097) }],
    ['no text', { type: 'text', text: '' }],
    [
      'four buttons',
      { type: 'buttons', body: 'b', buttons: Array(4).fill({ id: 'a', title: 't' }) },
    ],
    ['a location outside the earth', { type: 'location', latitude: 91, longitude: 0 }],
    ['a receipt of nothing', { type: 'receipt', statuses: [] }],
  ])('Y2 %s is refused before it is sealed', (_, body) => {
    expect(() => encodeContent({ salt, body: body as Body })).toThrow(ContentMalformed);
  });

  it('Y4 a newer media type is kept as unknown, not dropped', () => {
    const bytes = encode([
      salt,
      null,
      new Uint8Array(0),
      null,
      null,
      new Map(),
      [1, '', 1, 'application/vnd.siegel.dance+cbor', encode({})],
    ]);
    expect(decodeContent(bytes).body).toEqual({
      type: 'unknown',
      contentType: 'application/vnd.siegel.dance+cbor',
    });
  });

  it.each(bodies.map((body) => [body.type, body] as const))(
    'Y5 %s travels under one envelope kind',
    (_, body) => {
      const shown = ![
        'receipt',
        'typing',
        'resend-request',
        'account-notice',
        'profile',
        'sync',
      ].includes(body.type);
      expect(['free-form', 'template'].includes(envelopeKindOf(body))).toBe(shown);
    },
  );
});

describe('message id', () => {
  it('Y6 is the one an independent implementation computes', async () => {
    const vector = JSON.parse(
      readFileSync(new URL('../../vectors/content/message-id.json', import.meta.url), 'utf8'),
    );
    const made = await messageIdOf({
      sender: vector.sender as AccountId,
      conversation: vector.conversation as ConversationId,
      content: Buffer.from(vector.content, 'hex'),
      salt: Buffer.from(vector.salt, 'hex'),
      sha256: async (bytes) =>
        new Uint8Array(await crypto.subtle.digest('SHA-256', Uint8Array.from(bytes))),
    });
    expect(made).toBe(vector.messageId);
  });

  test.prop([fc.uint8Array({ maxLength: 80 })])(
    'base64url is the one everybody writes',
    (bytes) => {
      expect(toBase64Url(bytes)).toBe(Buffer.from(bytes).toString('base64url'));
      expect(fromBase64Url(toBase64Url(bytes))).toEqual(bytes);
    },
  );

  it.each(['A', 'AA=', 'A+AA', 'AAAAA'])('%j is not base64url', (text) => {
    expect(() => fromBase64Url(text)).toThrow(RangeError);
  });
});
