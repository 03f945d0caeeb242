// The vectors of packages/protocol/vectors/cloud-api, proved against the schemas; other languages can test against the same.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  CloudApiErrorBody,
  cloudApiErrors,
  messageValuesOf,
  parseSend,
  refusalOf,
  SendResponse,
  TemplateCreate,
  WebhookBody,
  webhookError,
} from './index.ts';

const read = (name: string) =>
  JSON.parse(
    readFileSync(new URL(`../../vectors/cloud-api/${name}.json`, import.meta.url), 'utf8'),
  );
/** As JSON has it: without what is undefined. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('sending', () => {
  test.each<{ name: string; request: unknown; parsed: unknown }>(read('send-good'))(
    '$name',
    ({ request, parsed }) => {
      expect(plain(parseSend(request))).toEqual(parsed);
    },
  );

  test.each<{ name: string; request: unknown; refusal: { code: number; details: string } }>(
    read('send-bad'),
  )('refused: $name', ({ request, refusal }) => {
    expect(parseSend(request)).toEqual({ kind: 'refused', refusal });
    expect(Object.keys(cloudApiErrors)).toContain(String(refusal.code));
    expect(refusal.details).toMatch(/\.$/);
  });

  test('reading the same request twice gives the same, and leaves the request as it was', () => {
    for (const { request } of read('send-good')) {
      const before = plain(request);
      expect(parseSend(request)).toEqual(parseSend(request));
      expect(request).toEqual(before);
    }
  });

  test('an answer has contacts and messages', () => {
    const answer = {
      messaging_product: 'whatsapp',
      contacts: [{ input: '+49 1', wa_id: '491' }],
      messages: [{ id: 'wamid.AQID' }],
    };
    expect(SendResponse.safeParse(answer).success).toBe(true);
    expect(SendResponse.safeParse({ ...answer, messages: [{ id: '1' }] }).success).toBe(false);
  });
});

describe('webhooks', () => {
  test.each<{ name: string; body: unknown; events: number }>(read('webhook-good'))(
    '$name',
    ({ body, events }) => {
      expect(messageValuesOf(WebhookBody.parse(body))).toHaveLength(events);
    },
  );

  test.each<{ name: string; body: unknown }>(read('webhook-bad'))('refused: $name', ({ body }) => {
    expect(WebhookBody.safeParse(body).success).toBe(false);
  });

  test('several entries and changes in one body are all read', () => {
    const [{ body: first }, { body: second }] = read('webhook-good');
    const both = { ...first, entry: [...first.entry, ...second.entry] };
    expect(messageValuesOf(WebhookBody.parse(both))).toHaveLength(2);
  });
});

describe('errors', () => {
  test.each<{ name: string; body: unknown }>(read('error-good'))('$name', ({ body }) => {
    expect(CloudApiErrorBody.safeParse(body).success).toBe(true);
  });

  test('every code has a status, a title and one sentence', () => {
    for (const { http, title, details } of Object.values(cloudApiErrors)) {
      expect(http).toBeGreaterThanOrEqual(400);
      expect(title).not.toBe('');
      expect(details).toMatch(/^[A-Z].*\.$/);
    }
  });

  test('an error in a webhook carries the code, its title and the cause', () => {
    expect(webhookError({ code: 131047 })).toEqual({
      code: 131047,
      title: 'Re-engagement message',
      message: 'Re-engagement message',
      error_data: { details: cloudApiErrors[131047].details },
    });
    expect(webhookError({ code: 131053, details: 'Too large.' }).error_data?.details).toBe(
      'Too large.',
    );
  });
});

describe('templates', () => {
  const good = {
    name: 'flight_update',
    language: 'de',
    category: 'utility',
    components: [{ type: 'body', text: 'Hallo {{1}}', example: { body_text: [['Ada']] } }],
  };
  test('words in any case, unknown fields ignored', () => {
    expect(TemplateCreate.parse({ ...good, allow_category_change: true })).toMatchObject({
      category: 'UTILITY',
      components: [{ type: 'BODY' }],
    });
  });

  test.each([
    [{ ...good, name: undefined }, 131008, /^name is required/],
    [{ ...good, name: 'Flight' }, 131009, /a–z/],
    [{ ...good, language: 'german' }, 131009, /^language/],
    [{ ...good, components: [] }, 131009, /^components/],
    [{ ...good, components: [{ type: 'SIDEBAR' }] }, 131009, /^components\.0\.type/],
  ])('%j is refused', (template, code, details) => {
    const parsed = TemplateCreate.safeParse(template, { reportInput: true });
    if (parsed.success) throw new Error('taken');
    expect(refusalOf(parsed.error)).toEqual({ code, details: expect.stringMatching(details) });
  });
});
