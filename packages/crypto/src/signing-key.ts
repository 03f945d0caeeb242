// Ed25519 keys as they are kept: an account key, a leaf key, the operator's key. They sign
// statements and MLS messages.

import { SiegelError } from '@siegel/protocol/errors';
import { bufferSource, concatBytes } from './bytes.ts';

/** An Ed25519 key pair (RFC 8032): 32 octets of seed, 32 of public key. */
export type SigningKey = { readonly publicKey: Uint8Array; readonly seed: Uint8Array };

/** The key of an account; it never leaves the main device but in the encrypted backup. */
export type AccountKey = SigningKey;

/** PKCS#8 prefix of an Ed25519 seed (RFC 8410 §7). */
const pkcs8Prefix = Uint8Array.from([
  0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
]);

/**
 * A fresh key. Exported as DER, never as JWK: the latter can hang Node 20 right after generation.
 */
export async function createSigningKey(): Promise<SigningKey> {
  const pair = await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify']);
  const { privateKey, publicKey } = pair;
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey('pkcs8', privateKey));
  return {
    seed: pkcs8.slice(-32),
    publicKey: new Uint8Array(await crypto.subtle.exportKey('raw', publicKey)),
  };
}

export const createAccountKey = (): Promise<AccountKey> => createSigningKey();

/** Version 1, seed, public key: for the encrypted backup and the encrypted store. */
export const exportSigningKey = (key: SigningKey): Uint8Array =>
  concatBytes(Uint8Array.of(1), key.seed, key.publicKey);

/**
 * Throws `state-corrupt` when the octets are no key, or when seed and public key do not belong
 * together.
 */
export async function importSigningKey(bytes: Uint8Array): Promise<SigningKey> {
  if (bytes.length !== 65 || bytes[0] !== 1) throw new SiegelError('state-corrupt', 'signing key');
  const key = { seed: bytes.slice(1, 33), publicKey: bytes.slice(33) };
  const probe = Uint8Array.of(1);
  const signature = await crypto.subtle.sign('Ed25519', await privateCryptoKey(key), probe);
  const verifier = await publicCryptoKey(key.publicKey);
  if (!(await crypto.subtle.verify('Ed25519', verifier, signature, probe))) {
    throw new SiegelError('state-corrupt', 'signing key');
  }
  return key;
}

export const privateCryptoKey = (key: SigningKey): Promise<CryptoKey> =>
  crypto.subtle.importKey('pkcs8', concatBytes(pkcs8Prefix, key.seed), 'Ed25519', false, ['sign']);

export const publicCryptoKey = (publicKey: Uint8Array): Promise<CryptoKey> =>
  crypto.subtle.importKey('raw', bufferSource(publicKey), 'Ed25519', false, ['verify']);
