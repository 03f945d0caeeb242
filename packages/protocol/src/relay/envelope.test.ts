// The header is the authenticated_data of MLS: equal headers give equal octets, and any change shows.

import { test } from '@fast-check/vitest';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EnvelopeHeader, encodeHeader, headerIsConsistent } from './envelope.ts';

const header = {
  conversationId: '00112233-4455-4677-8899-aabbccddeeff',
  generation: 0,
  class: 'message',
  kind: 'template',
  clientId: '0f0e0d0c-0b0a-4908-8706-050403020100',
  commitment: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  template: { id: '123456789012345', category: 'utility' },
} as EnvelopeHeader;

const changes: Record<string, Partial<EnvelopeHeader>> = {
  conversation: {
    conversationId: '10112233-4455-4677-8899-aabbccddeeff' as EnvelopeHeader['conversationId'],
  },
  generation: { generation: 1 },
  class: { class: 'control' },
  kind: { kind: 'free-form' },
  'client id': { clientId: '1f0e0d0c-0b0a-4908-8706-050403020100' as EnvelopeHeader['clientId'] },
  commitment: { commitment: 'BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' },
  'template id': { template: { id: '123456789012346' as never, category: 'utility' } },
  category: { template: { id: '123456789012345' as never, category: 'marketing' } },
};

describe('envelope header', () => {
  it('has the octets every implementation must produce', () => {
    expect(Buffer.from(encodeHeader(header)).toString('hex')).toBe(
      '880150001122334455467788' +
        '99aabbccddeeff00676d6573736167656874656d706c617465500f0e0d0c0b0a49088706050403020100782b' +
        '41'.repeat(43) +
        '821b00007048860ddf79677574696c697479',
    );
  });

  it.each(Object.entries(changes))('shows a changed %s', (_, change) => {
    expect(encodeHeader({ ...header, ...change })).not.toEqual(encodeHeader(header));
  });

  test.prop([
    fc.constantFrom(
      'free-form',
      'template',
      'commit',
      'receipt',
      'typing',
      'resend-request',
      'notice',
      'sync',
    ),
  ])('of one kind has exactly one class', (kind) => {
    const { template, commitment, ...rest } = header;
    const candidate = {
      ...rest,
      kind,
      ...(kind === 'template' ? { template } : {}),
      ...(kind === 'commit' ? {} : { commitment }),
    } as EnvelopeHeader;
    const consistent = (['message', 'control'] as const).filter((one) =>
      headerIsConsistent({ ...candidate, class: one }),
    );
    expect(consistent).toEqual([
      kind === 'free-form' || kind === 'template' ? 'message' : 'control',
    ]);
  });
});
