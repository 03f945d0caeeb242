// Attachments: round trips, ranges, and everything that may happen to a blob on its way.

import { limits } from '@siegel/protocol/limits';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  deriveRecordKeys,
  openRecord,
  readRecordHeader,
  sealRecord,
  writeRecordHeader,
} from './aes128gcm.ts';
import {
  type AttachmentDescriptor,
  collectBytes,
  openAttachment,
  openRange,
  sealAttachment,
  sealedLength,
} from './attachment.ts';
import { browserProvider } from './browser-provider.ts';
import { concatBytes, equalBytes, fromBase64Url, fromUtf8, toBase64Url, utf8 } from './bytes.ts';
import { paddedLength } from './padding.ts';

const provider = await browserProvider();
const recordPlainBytes = limits.attachmentChunkBytes - 17;

const bytesOf = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) & 0xff);

function* endless(): Generator<Uint8Array> {
  const piece = new Uint8Array(1024 * 1024);
  for (;;) yield piece;
}

const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.map((octet, index) => (index === at ? octet ^ 1 : octet));

function* inPieces(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function sealWhole(plaintext: Uint8Array, pieceBytes = 10_000) {
  const attachment = sealAttachment(provider, inPieces(plaintext, pieceBytes));
  const sealed = await collectBytes(attachment.sealed);
  return { sealed, descriptor: attachment.descriptor() };
}

const openWhole = (descriptor: AttachmentDescriptor, sealed: Uint8Array, pieceBytes = 7777) =>
  collectBytes(openAttachment(descriptor, inPieces(sealed, pieceBytes)));

const refusal = { code: 'attachment-corrupt' };

describe('RFC 8188 records', () => {
  it('opens and writes the RFC’s single-record example (§3.1)', async () => {
    const key = fromBase64Url('yqdlZ-tYemfogSmv7Ws5PQ');
    const message = fromBase64Url(
      'I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg',
    );
    const read = readRecordHeader(message)!;
    const keys = await deriveRecordKeys(key, read.header.salt);
    const place = { sequence: 0, isLast: true };
    const opened = await openRecord(keys, place, message.subarray(read.length));
    expect(fromUtf8(opened!)).toBe('I am the walrus');
    const written = concatBytes(
      writeRecordHeader(read.header),
      await sealRecord(keys, place, utf8('I am the walrus')),
    );
    expect(toBase64Url(written)).toBe(toBase64Url(message));
  });

  it('opens the RFC’s example of two records with padding and a key id (§3.2)', async () => {
    const key = fromBase64Url('BO3ZVPxUlnLORbVGMpbT1Q');
    const message = fromBase64Url(
      'uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEUKEpgz3SsLWIqS_uA',
    );
    const { header, length } = readRecordHeader(message)!;
    expect(fromUtf8(header.keyId)).toBe('a1');
    expect(header.recordSize).toBe(25);
    const keys = await deriveRecordKeys(key, header.salt);
    const first = message.subarray(length, length + 25);
    const second = message.subarray(length + 25);
    const opened = [
      await openRecord(keys, { sequence: 0, isLast: false }, first),
      await openRecord(keys, { sequence: 1, isLast: true }, second),
    ];
    expect(opened.map((part) => fromUtf8(part!)).join('')).toBe('I am the walrus');
    expect(await openRecord(keys, { sequence: 0, isLast: true }, first)).toBeUndefined();
  });

  it('numbers records beyond 32 bits', async () => {
    const keys = await deriveRecordKeys(bytesOf(16), bytesOf(16));
    const place = { sequence: 2 ** 32 + 5, isLast: false };
    const record = await sealRecord(keys, place, utf8('far'));
    expect(fromUtf8((await openRecord(keys, place, record))!)).toBe('far');
    expect(await openRecord(keys, { sequence: 5, isLast: false }, record)).toBeUndefined();
  });
});

describe('attachments', () => {
  const lengths = [
    0,
    1,
    511,
    512,
    513,
    recordPlainBytes - 1,
    recordPlainBytes,
    recordPlainBytes + 1,
    200_000,
  ];

  it.each(lengths)('come back whole: %i octets', async (length) => {
    const plaintext = bytesOf(length);
    const { sealed, descriptor } = await sealWhole(plaintext);
    expect(descriptor.bytes).toBe(length);
    expect(sealed.length).toBe(sealedLength(length));
    expect(descriptor.sealedBytes).toBe(sealed.length);
    expect(equalBytes(await openWhole(descriptor, sealed), plaintext)).toBe(true);
  });

  it('of the same padded length look the same from outside', async () => {
    const long = 200_000;
    const sameBucket = Array.from({ length: 5 }, (_, step) => long - step * 100).filter(
      (length) => paddedLength(length) === paddedLength(long),
    );
    expect(sameBucket.length).toBeGreaterThan(1);
    expect(new Set(sameBucket.map(sealedLength)).size).toBe(1);
  });

  it('open from any octet to any other, reading only the records needed', async () => {
    const plaintext = bytesOf(300_000);
    const { sealed, descriptor } = await sealWhole(plaintext);
    await fc.assert(
      fc.asyncProperty(fc.nat(310_000), fc.nat(140_000), async (start, length) => {
        let fetched = 0;
        const range = openRange(descriptor, { start, end: start + length }, async (from, to) => {
          fetched += to - from;
          return sealed.subarray(from, to);
        });
        const part = await collectBytes(range);
        expect(equalBytes(part, plaintext.subarray(start, start + length))).toBe(true);
        expect(fetched).toBeLessThanOrEqual(21 + (part.length + 2 * limits.attachmentChunkBytes));
      }),
      { numRuns: 25 },
    );
  });

  it('are refused when an octet differs, anywhere', async () => {
    const { sealed, descriptor } = await sealWhole(bytesOf(150_000));
    for (const at of [0, 16, 20, 21, 70_000, sealed.length - 1]) {
      const changed = flipped(sealed, at);
      await expect(openWhole(descriptor, changed), `octet ${at}`).rejects.toMatchObject(refusal);
    }
  });

  it('are refused when cut short, made longer, or put in another order', async () => {
    const { sealed, descriptor } = await sealWhole(bytesOf(150_000));
    const size = limits.attachmentChunkBytes;
    const record = (index: number) => sealed.subarray(21 + index * size, 21 + (index + 1) * size);
    const head = sealed.subarray(0, 21);
    const wrong = [
      sealed.subarray(0, -1),
      sealed.subarray(0, 21 + size),
      head,
      new Uint8Array(),
      concatBytes(sealed, Uint8Array.of(0)),
      concatBytes(head, record(1), record(0), record(2)),
      concatBytes(head, record(0), record(0), record(2)),
    ];
    for (const bytes of wrong) {
      await expect(openWhole(descriptor, bytes)).rejects.toMatchObject(refusal);
    }
  });

  it('cut at a record boundary are refused even with forged lengths', async () => {
    const { sealed, descriptor } = await sealWhole(bytesOf(2 * recordPlainBytes));
    const shorter = sealed.subarray(0, 21 + limits.attachmentChunkBytes);
    const forged = { ...descriptor, bytes: recordPlainBytes - 17, sealedBytes: shorter.length };
    await expect(openWhole(forged, shorter)).rejects.toMatchObject(refusal);
  });

  it('are refused when the blob is another one sealed under the same key', async () => {
    const one = await sealWhole(bytesOf(1000));
    const other = { ...one.descriptor, sealedSha256: bytesOf(32) };
    await expect(openWhole(other, one.sealed)).rejects.toMatchObject(refusal);
  });

  it('never give out an octet that was not authenticated', async () => {
    const { sealed, descriptor } = await sealWhole(bytesOf(150_000));
    const changed = flipped(sealed, 21 + limits.attachmentChunkBytes + 5);
    let given = 0;
    const read = async () => {
      for await (const piece of openAttachment(descriptor, [changed])) given += piece.length;
    };
    await expect(read()).rejects.toMatchObject(refusal);
    expect(given).toBe(recordPlainBytes);
  });

  it('larger than a blob may be are refused while they are sealed', async () => {
    const { sealed } = sealAttachment(provider, endless());
    const drain = async () => {
      for await (const piece of sealed) expect(piece.length).toBeGreaterThan(0);
    };
    await expect(drain()).rejects.toMatchObject({ code: 'request-too-large' });
  });
});
