// The cryptographic primitives everything else stands on. Node and browsers fill the same type,
// and the shared test suite runs over both.

import type { CiphersuiteImpl, CiphersuiteName } from 'ts-mls';
import type { SigningKey } from './signing-key.ts';

/** RFC 9420 §17.1, suite 0x0001: the only one we speak. */
export const suiteName = 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519' satisfies CiphersuiteName;

export type CryptoProvider = {
  readonly name: 'node' | 'webcrypto';
  randomBytes(count: number): Uint8Array;
  sha256(data: Uint8Array): Promise<Uint8Array>;
  hmacSha256(key: Uint8Array, data: Uint8Array): Promise<Uint8Array>;
  readonly ed25519: {
    generate(): Promise<SigningKey>;
    sign(key: SigningKey, message: Uint8Array): Promise<Uint8Array>;
    verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean>;
  };
  /** The same primitives in the shape ts-mls takes; nothing outside `mls/` looks at it. */
  readonly suite: CiphersuiteImpl;
};

/** Every provider is its suite seen from our side. */
export const providerOf = (
  name: CryptoProvider['name'],
  suite: CiphersuiteImpl,
): CryptoProvider => ({
  name,
  randomBytes: (count) => suite.rng.randomBytes(count),
  sha256: (data) => suite.hash.digest(data),
  hmacSha256: (key, data) => suite.hash.mac(key, data),
  ed25519: {
    async generate() {
      const { signKey, publicKey } = await suite.signature.keygen();
      // A seed, or a PKCS#8 wrapping whose last 32 octets are the seed (RFC 8410 §7).
      return { seed: signKey.slice(-32), publicKey };
    },
    sign: (key, message) => suite.signature.sign(key.seed, message),
    verify: (publicKey, message, signature) =>
      suite.signature.verify(publicKey, message, signature).catch(() => false),
  },
  suite,
});
