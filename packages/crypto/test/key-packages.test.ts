// A key package from the outside, as the relay sees it: whose it is, until when, and whether
// anything in it is false.

import { generateKeyPackageWithKey } from 'ts-mls';
import { describe, expect, it } from 'vitest';
import { toBase64Url, utf8 } from '../src/bytes.ts';
import { browserProvider, inspectKeyPackage } from '../src/index.ts';
import { capabilities } from '../src/mls/group-config.ts';
import { decodePrivateBytes } from '../src/mls/new-key-package.ts';
import { writeMessage } from '../src/mls/wire.ts';
import * as town from './town.ts';

const provider = await browserProvider();
const alice = await town.newAccount(provider);
const laptop = town.device(alice);
const { now } = town;
const dayMs = town.daySeconds * 1000;

const forged = async (
  changes: Partial<typeof capabilities>,
  certificate = laptop.identity.certificate,
): Promise<Uint8Array> => {
  const { leafKey } = laptop.identity;
  const made = await generateKeyPackageWithKey(
    { credentialType: 'basic', identity: utf8(certificate) },
    { ...capabilities, ...changes },
    { notBefore: BigInt(town.seconds), notAfter: BigInt(town.seconds + 3600) },
    [],
    { signKey: leafKey.seed, publicKey: leafKey.publicKey },
    provider.suite,
  );
  return writeMessage({ wireformat: 'mls_key_package', keyPackage: made.publicPackage });
};

describe('a key package', () => {
  it('names its device, its lifetime and its reference', async () => {
    const { publicBytes, reference } = await town.keyPackageOf(laptop, { lifetimeDays: 60 });
    expect(await inspectKeyPackage(publicBytes, { now })).toMatchObject({
      outcome: 'valid',
      certificate: { sub: alice.accountId, dev: 1 },
      lastResort: false,
      notAfter: town.seconds + 60 * town.daySeconds,
      reference: toBase64Url(reference),
    });
    expect(publicBytes.length).toBeLessThan(1200);
  });

  it('for the last resort says so', async () => {
    const { publicBytes } = await town.keyPackageOf(laptop, { lastResort: true });
    expect(await inspectKeyPackage(publicBytes, { now })).toMatchObject({ lastResort: true });
  });

  it('is refused before and after its time, and when it would live too long', async () => {
    const { publicBytes } = await town.keyPackageOf(laptop, { lifetimeDays: 30 });
    const at = async (time: number, lifetimeDaysMax = 90) =>
      (await inspectKeyPackage(publicBytes, { now: time, lifetimeDaysMax })).outcome;
    expect(await at(now + 29 * dayMs)).toBe('valid');
    expect(await at(now + 30 * dayMs)).toBe('expired');
    expect(await at(now - 3 * dayMs)).toBe('expired');
    expect(await at(now, 20)).toBe('lifetime-too-long');
  });

  it('is refused when any octet differs', async () => {
    const { publicBytes } = await town.keyPackageOf(laptop);
    for (let at = 0; at < publicBytes.length; at += 37) {
      const changed = publicBytes.map((octet, index) => (index === at ? octet ^ 1 : octet));
      expect((await inspectKeyPackage(changed, { now })).outcome, `octet ${at}`).not.toBe('valid');
    }
    const longer = Uint8Array.of(...publicBytes, 0);
    for (const bytes of [longer, publicBytes.subarray(0, -1), new Uint8Array(5000)]) {
      expect(await inspectKeyPackage(bytes, { now })).toEqual({ outcome: 'malformed' });
    }
  });

  it('is refused without what our groups need, or certified for another leaf', async () => {
    expect((await inspectKeyPackage(await forged({}), { now })).outcome).toBe('valid');
    for (const lacking of [{ extensions: [] }, { ciphersuites: [] }, { versions: [] }]) {
      expect(await inspectKeyPackage(await forged(lacking), { now })).toEqual({
        outcome: 'unsupported',
      });
    }
    const other = await town.newDevice(laptop.engine, alice, { id: 2 });
    const stolen = await forged({}, other.identity.certificate);
    for (const bytes of [stolen, await forged({}, 'no certificate')]) {
      expect(await inspectKeyPackage(bytes, { now })).toEqual({ outcome: 'certificate-invalid' });
    }
  });

  it('keeps its private half under a version', async () => {
    const { privateBytes } = await town.keyPackageOf(laptop);
    expect(decodePrivateBytes(privateBytes).privatePackage.initPrivateKey).toHaveLength(32);
    const stateCorrupt = expect.objectContaining({ code: 'state-corrupt' });
    const other = Uint8Array.of(9, ...privateBytes.subarray(1));
    for (const bytes of [other, privateBytes.subarray(0, 80), new Uint8Array()]) {
      expect(() => decodePrivateBytes(bytes)).toThrow(stateCorrupt);
    }
  });
});
