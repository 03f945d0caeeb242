// The provider of servers: hash, KDF, AEAD and Ed25519 over node:crypto with cached keys, HPKE left
// to @hpke/core. WebCrypto imports a key on every call in Node 20, which makes it six to ten times
// slower.

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomBytes,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto';
import { type CiphersuiteImpl, getCiphersuiteFromName, getCiphersuiteImpl } from 'ts-mls';
import { createBoundedCache } from './bounded-cache.ts';
import { concatBytes, toBase64Url } from './bytes.ts';
import { type CryptoProvider, providerOf, suiteName } from './provider.ts';

const privateKeysMax = 64;
const publicKeysMax = 8192;
const tagBytes = 16;
const zeroSalt = new Uint8Array(32);
const zeroPublic = toBase64Url(zeroSalt);

const bytesOf = (buffer: Buffer): Uint8Array =>
  new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);

export async function nodeProvider(): Promise<CryptoProvider> {
  const base = await getCiphersuiteImpl(getCiphersuiteFromName(suiteName));
  return providerOf('node', {
    ...base,
    kdf: kdf(base),
    hash,
    signature: signature(),
    hpke: { ...base.hpke, encryptAead, decryptAead },
    rng: { randomBytes: (count) => bytesOf(randomBytes(count)) },
  });
}

const hmac = (key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array => {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return bytesOf(mac.digest());
};

/**
 * HKDF (RFC 5869). One block covers all that MLS asks for in this suite; longer outputs go the base
 * way.
 */
const kdf = (base: CiphersuiteImpl): CiphersuiteImpl['kdf'] => ({
  size: 32,
  extract: async (salt, ikm) => hmac(salt.length > 0 ? salt : zeroSalt, ikm),
  expand: async (prk, info, length) =>
    length <= 32
      ? hmac(prk, info, Uint8Array.of(1)).slice(0, length)
      : base.kdf.expand(prk, info, length),
});

const hash: CiphersuiteImpl['hash'] = {
  digest: async (data) => bytesOf(createHash('sha256').update(data).digest()),
  mac: async (key, data) => hmac(key, data),
  async verifyMac(key, mac, data) {
    const expected = hmac(key, data);
    return expected.length === mac.length && timingSafeEqual(expected, mac);
  },
};

function signature(): CiphersuiteImpl['signature'] {
  const privateKeys = createBoundedCache<KeyObject>(privateKeysMax);
  const publicKeys = createBoundedCache<KeyObject>(publicKeysMax);
  const cached = (cache: typeof publicKeys, raw: Uint8Array, make: (text: string) => KeyObject) => {
    const id = toBase64Url(raw);
    const known = cache.get(id);
    if (known !== undefined) return known;
    const key = make(id);
    cache.set(id, key);
    return key;
  };
  // JWK *import* is 14 times faster than PKCS#8 here and safe. What hangs Node 20 is JWK *export*
  // of a generated key.
  const privateKey = (seed: Uint8Array) =>
    cached(privateKeys, seed.subarray(-32), (d) =>
      createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', d, x: zeroPublic }, format: 'jwk' }),
    );
  const publicKey = (raw: Uint8Array) =>
    cached(publicKeys, raw, (x) =>
      createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }),
    );
  return {
    sign: async (seed, message) => bytesOf(sign(null, message, privateKey(seed))),
    verify: async (key, message, value) => verify(null, message, publicKey(key), value),
    async keygen() {
      const seed = bytesOf(randomBytes(32));
      const spki = createPublicKey(privateKey(seed)).export({ format: 'der', type: 'spki' });
      return { signKey: seed, publicKey: bytesOf(spki).slice(-32) };
    },
  };
}

const encryptAead: CiphersuiteImpl['hpke']['encryptAead'] = async (key, nonce, aad, plaintext) => {
  const cipher = createCipheriv('aes-128-gcm', key, nonce);
  if (aad !== undefined && aad.length > 0) cipher.setAAD(aad);
  const first = cipher.update(plaintext);
  const last = cipher.final();
  return concatBytes(first, last, cipher.getAuthTag());
};

const decryptAead: CiphersuiteImpl['hpke']['decryptAead'] = async (key, nonce, aad, ciphertext) => {
  if (ciphertext.length < tagBytes) throw new Error('ciphertext shorter than its tag');
  const decipher = createDecipheriv('aes-128-gcm', key, nonce, { authTagLength: tagBytes });
  if (aad !== undefined && aad.length > 0) decipher.setAAD(aad);
  decipher.setAuthTag(ciphertext.subarray(-tagBytes));
  const plaintext = decipher.update(ciphertext.subarray(0, -tagBytes));
  decipher.final();
  return bytesOf(plaintext);
};
