// Both providers do the same, octet for octet, so a person's browser and a business's server
// understand each other.

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { browserProvider } from '../src/index.ts';
import { nodeProvider } from '../src/node.ts';
import * as town from './town.ts';

const node = await nodeProvider();
const web = await browserProvider();
const octets = fc.uint8Array({ minLength: 1, maxLength: 200 });
const few = { numRuns: 30 };

describe('the node provider agrees with WebCrypto', () => {
  it('on hashes, MACs and key derivation', async () => {
    await fc.assert(
      fc.asyncProperty(octets, octets, fc.integer({ min: 1, max: 80 }), async (a, b, length) => {
        expect(await node.sha256(a)).toEqual(await web.sha256(a));
        expect(await node.hmacSha256(a, b)).toEqual(await web.hmacSha256(a, b));
        // @hpke/core takes salts of the hash's length only, and MLS gives it no others.
        const salt = await node.sha256(a);
        const prk = await node.suite.kdf.extract(salt, b);
        expect(prk).toEqual(await web.suite.kdf.extract(salt, b));
        const expanded = await node.suite.kdf.expand(prk, a, length);
        expect(expanded).toEqual(await web.suite.kdf.expand(prk, a, length));
        const mac = await node.hmacSha256(a, b);
        expect(await node.suite.hash.verifyMac(a, mac, b)).toBe(true);
        expect(await node.suite.hash.verifyMac(a, mac.subarray(1), b)).toBe(false);
      }),
      few,
    );
    const empty = new Uint8Array();
    const ikm = Uint8Array.of(1);
    expect(await node.suite.kdf.extract(empty, ikm)).toEqual(
      await web.suite.kdf.extract(new Uint8Array(32), ikm),
    );
  });

  it('on encryption, and refuses what was changed', async () => {
    const key = new Uint8Array(16).fill(1);
    const nonce = new Uint8Array(12).fill(2);
    await fc.assert(
      fc.asyncProperty(octets, octets, async (plaintext, aad) => {
        const sealed = await node.suite.hpke.encryptAead(key, nonce, aad, plaintext);
        expect(sealed).toEqual(await web.suite.hpke.encryptAead(key, nonce, aad, plaintext));
        expect(await node.suite.hpke.decryptAead(key, nonce, aad, sealed)).toEqual(plaintext);
        const changed = sealed.map((octet, at) => (at === 0 ? octet ^ 1 : octet));
        await expect(node.suite.hpke.decryptAead(key, nonce, aad, changed)).rejects.toThrow();
      }),
      few,
    );
    const short = new Uint8Array(8);
    await expect(node.suite.hpke.decryptAead(key, nonce, short, short)).rejects.toThrow();
  });

  it('on signatures, with keys made by either', async () => {
    for (const [maker, other] of [
      [node, web],
      [web, node],
    ] as const) {
      const key = await maker.ed25519.generate();
      expect(key.seed).toHaveLength(32);
      const message = Uint8Array.of(1, 2, 3);
      const signature = await other.ed25519.sign(key, message);
      expect(signature).toEqual(await maker.ed25519.sign(key, message));
      expect(await maker.ed25519.verify(key.publicKey, message, signature)).toBe(true);
      expect(await other.ed25519.verify(key.publicKey, message.subarray(1), signature)).toBe(false);
      expect(await other.ed25519.verify(new Uint8Array(5), message, signature)).toBe(false);
    }
  });

  it('keeps no other bytes behind what it returns', async () => {
    const [key, nonce] = [node.randomBytes(16), node.randomBytes(12)];
    const sealed = await node.suite.hpke.encryptAead(key, nonce, undefined, key);
    for (const value of [key, await node.sha256(key), sealed])
      expect(value.buffer.byteLength).toBe(value.byteLength);
  });

  it('in one conversation', async () => {
    const alice = await town.newAccount(web);
    const bakery = await town.newAccount(node, 2);
    const devices = [town.device(bakery), town.device(alice)];
    const group = await town.foundGroup(devices, town.contextOf([alice, bakery]));
    await town.join(group, town.device(bakery, 2));
    await town.commit(group, town.seatOf(group, town.device(alice)));
    await town.expectAgreement(group);
  });

  it('makes thousands of keys without hanging', async () => {
    for (let made = 0; made < 3000; made += 1) await node.ed25519.generate();
  });
});
