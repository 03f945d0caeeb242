// Attachments through real uploads, and template objects that are believed only when everything about them agrees.

import { randomBytes } from 'node:crypto';
import {
  createSigningKey,
  type SigningKey,
  signTemplate,
  signTemplateApproval,
  templateHash,
} from '@siegel/crypto';
import { toBase64Url } from '@siegel/protocol/content';
import { AccountId, NumericId } from '@siegel/protocol/ids';
import { canonicalTemplate, TemplateObject } from '@siegel/protocol/relay';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fetchAttachment, readAttachment, storeAttachment } from '../src/attachments.ts';
import type { DeviceContext } from '../src/device-context.ts';
import { believeTemplate, type TemplateExpectation } from '../src/templates.ts';
import { type LittleRelay, rightCode, startLittleRelay } from './little-relay.ts';
import { createTestDevice, register } from './test-device.ts';

const start = 1_800_000_000_000;

let relay: LittleRelay;
let alice: DeviceContext;
beforeEach(async () => {
  relay = await startLittleRelay(start);
  const device = createTestDevice(relay);
  alice = device.as(await register(device, { code: () => rightCode }));
});
afterEach(() => relay.close());

describe('attachments', () => {
  const upload = async (bytes: Uint8Array) => {
    const stored = await storeAttachment(alice, {
      bytes,
      media: 'image',
      contentType: 'image/png',
      filename: 'bild\u202Egnp.exe',
    });
    if (stored.outcome !== 'stored') throw new Error(stored.outcome);
    return stored.attachment;
  };

  test('what goes up sealed comes down as it was', async () => {
    const bytes = randomBytes(200_000);
    const attachment = await upload(bytes);
    expect(attachment).toMatchObject({ bytes: 200_000, filename: 'bildgnp.exe' });
    const stored = [...relay.blobs.values()][0]!.content!;
    expect(stored.length).toBe(attachment.sealedBytes);
    expect(stored.includes(bytes.subarray(0, 64))).toBe(false);
    const fetched = await fetchAttachment(alice, attachment);
    expect(fetched.outcome === 'attachment' && Buffer.compare(fetched.bytes, bytes)).toBe(0);
  });

  test('a part is read without the rest', async () => {
    const bytes = randomBytes(300_000);
    const attachment = await upload(bytes);
    const before = relay.server.seen.length;
    const parts: Uint8Array[] = [];
    const range = { start: 70_000, end: 70_100 };
    for await (const part of readAttachment(alice, attachment, range)) parts.push(part);
    expect(Buffer.compare(Buffer.concat(parts), bytes.subarray(70_000, 70_100))).toBe(0);
    const asked = relay.server.seen.slice(before).map(({ headers }) => headers.range);
    expect(asked.every((header) => header?.startsWith('bytes='))).toBe(true);
  });

  test('a blob that the relay changed is refused', async () => {
    const attachment = await upload(randomBytes(1000));
    [...relay.blobs.values()][0]!.content![100]! ^= 1;
    await expect(fetchAttachment(alice, attachment)).rejects.toMatchObject({
      code: 'attachment-corrupt',
    });
  });

  test('one that has expired is gone, not an error', async () => {
    const attachment = await upload(randomBytes(10));
    relay.blobs.clear();
    expect(await fetchAttachment(alice, attachment)).toEqual({ outcome: 'gone' });
  });

  test('lengths that do not belong together are refused before anything is fetched', async () => {
    const attachment = await upload(randomBytes(10));
    const before = relay.server.seen.length;
    const lie = { ...attachment, sealedBytes: 90_000_000 };
    await expect(fetchAttachment(alice, lie)).rejects.toMatchObject({
      code: 'attachment-corrupt',
    });
    expect(relay.server.seen.length).toBe(before);
  });

  test('a full quota is an answer, and a file that is too large is not offered', async () => {
    relay.change('createBlob', () => () => ({ outcome: 'quota-reached', retryAfterSeconds: 60 }));
    const file = { media: 'document', contentType: 'application/pdf' } as const;
    expect(await storeAttachment(alice, { ...file, bytes: randomBytes(10) })).toEqual({
      outcome: 'quota-reached',
      retryAfterSeconds: 60,
    });
    const huge = new Uint8Array(101 * 1024 * 1024);
    expect(await storeAttachment(alice, { ...file, bytes: huge })).toEqual({
      outcome: 'too-large',
    });
  });
});

describe('templates', () => {
  const templateId = NumericId.parse('77');
  const business = AccountId.parse('00000000-2222-4333-8444-555555555555');
  const template = TemplateObject.parse({
    v: 1,
    business,
    wabaId: '100',
    name: 'order_sent',
    language: 'de',
    category: 'utility',
    parameterFormat: 'positional',
    components: { body: { text: 'Unterwegs.', parameters: [] }, buttons: [] },
  });
  let key: SigningKey;
  let expectation: TemplateExpectation;
  /** what the relay shows; a test changes it */
  let shown: { signed: string; approval?: string | undefined };

  const octetsOf = (object: TemplateObject) => new TextEncoder().encode(canonicalTemplate(object));
  const approve = (change: Record<string, unknown> = {}, by = relay.operatorKey) =>
    signTemplateApproval(
      {
        v: 1,
        iss: 'Little Operator',
        template: templateId,
        version: 1,
        iat: 1,
        hash: templateHash(octetsOf(template)),
        category: 'utility',
        ...change,
      } as Parameters<typeof signTemplateApproval>[0],
      by,
    );

  beforeEach(async () => {
    key = await createSigningKey();
    const hash = templateHash(octetsOf(template));
    expectation = {
      templateId,
      hash,
      category: 'utility',
      business: { accountId: business, accountKey: toBase64Url(key.publicKey) },
      operatorKeys: [toBase64Url(relay.operatorKey.publicKey)],
    };
    shown = { signed: await signTemplate(octetsOf(template), key), approval: await approve() };
    relay.change('getTemplate', () => () => ({
      outcome: 'template',
      template: { templateId, version: 1, hash, status: 'approved', ...shown },
    }));
  });
  const reason = async (expected = expectation) => {
    const believed = await believeTemplate(alice, expected);
    return believed.outcome === 'template' ? 'template' : believed.reason;
  };
  const fetches = () => relay.calls.filter((name) => name === 'getTemplate').length;

  test('one whose hash, signature and approval agree is believed, and kept', async () => {
    expect(await believeTemplate(alice, expectation)).toEqual({ outcome: 'template', template });
    expect(await reason()).toBe('template');
    expect(fetches()).toBe(1);
  });

  test('a kept one is checked again against what each message says', async () => {
    await reason();
    expect(await reason({ ...expectation, category: 'marketing' })).toBe('wrong-category');
    const accountKey = toBase64Url((await createSigningKey()).publicKey);
    const other = { ...expectation.business, accountKey };
    expect(await reason({ ...expectation, business: other })).toBe('wrong-key');
    expect(fetches()).toBe(1);
  });

  test('another text under the same id is refused', async () => {
    const other = {
      ...template,
      components: { ...template.components, body: { text: 'Zahlen Sie!', parameters: [] } },
    };
    shown = { ...shown, signed: await signTemplate(octetsOf(other), key) };
    expect(await reason()).toBe('hash-mismatch');
  });

  test('one that the business did not sign is refused', async () => {
    shown = { ...shown, signed: await signTemplate(octetsOf(template), await createSigningKey()) };
    expect(await reason()).toBe('wrong-key');
  });

  test.each([
    ['of another operator', async () => approve({}, await createSigningKey()), 'approval-refused'],
    ['of another hash', () => approve({ hash: 'h'.repeat(43) }), 'approval-mismatch'],
    ['of another id', () => approve({ template: '78' }), 'approval-mismatch'],
    ['in another category', () => approve({ category: 'marketing' }), 'wrong-category'],
    ['that is none', async () => undefined, 'not-approved'],
  ])('an approval %s does not count', async (_name, make, expected) => {
    shown = { ...shown, approval: await make() };
    expect(await reason()).toBe(expected);
    shown = { ...shown, approval: await approve() };
    expect(await reason()).toBe('template');
  });

  test('a template of another business is refused even when signed by the right key', async () => {
    const accountId = AccountId.parse('10000000-2222-4333-8444-555555555555');
    expect(await reason({ ...expectation, business: { ...expectation.business, accountId } })).toBe(
      'wrong-business',
    );
  });

  test('an unknown one is refused; a relay that is busy is asked later', async () => {
    relay.change('getTemplate', () => () => ({ outcome: 'not-found' }));
    expect(await reason()).toBe('unknown');
    relay.change('getTemplate', () => () => ({ outcome: 'rate-limited', retryAfterSeconds: 1 }));
    await expect(reason()).rejects.toMatchObject({ retryable: true });
  });
});
