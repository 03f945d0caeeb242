// A device's key package: what lets others add it while it is away (RFC 9420 §10), and the secrets
// that go with it.

import { SiegelError } from '@siegel/protocol/errors';
import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import { generateKeyPackageWithKey, type KeyPackage, type PrivateKeyPackage } from 'ts-mls';
import { makeKeyPackageRef } from 'ts-mls/keyPackage.js';
import { assert, utf8 } from '../bytes.ts';
import type { DeviceIdentity, Engine, NewKeyPackage } from '../engine.ts';
import { clockSkewSeconds, parseKeyPackage } from '../key-package.ts';
import type { CryptoProvider } from '../provider.ts';
import { lastResortExtension } from './extensions.ts';
import { capabilities } from './group-config.ts';
import { writeMessage } from './wire.ts';

/** Public and private halves in the form of ts-mls. */
export type KeyPackagePair = {
  readonly publicPackage: KeyPackage;
  readonly privatePackage: PrivateKeyPackage;
};

type Lifetime = { readonly now: number; readonly lifetimeDays: number };

export function generateKeyPackage(
  provider: CryptoProvider,
  identity: DeviceIdentity,
  { now, lifetimeDays, lastResort = false }: Lifetime & { readonly lastResort?: boolean },
): Promise<KeyPackagePair> {
  const seconds = Math.floor(now / 1000);
  return generateKeyPackageWithKey(
    { credentialType: 'basic', identity: utf8(identity.certificate) },
    capabilities,
    {
      notBefore: BigInt(Math.max(0, seconds - clockSkewSeconds)),
      notAfter: BigInt(seconds + lifetimeDays * 86_400),
    },
    lastResort ? [{ extensionType: lastResortExtension, extensionData: new Uint8Array() }] : [],
    { signKey: identity.leafKey.seed, publicKey: identity.leafKey.publicKey },
    provider.suite,
  );
}

const privateVersion = 1;

export const newKeyPackage =
  (provider: CryptoProvider): Engine['newKeyPackage'] =>
  async ({ identity, ...options }): Promise<NewKeyPackage> => {
    const pair = await generateKeyPackage(provider, identity, options);
    const publicBytes = writeMessage({
      wireformat: 'mls_key_package',
      keyPackage: pair.publicPackage,
    });
    const { initPrivateKey, hpkePrivateKey, signaturePrivateKey } = pair.privatePackage;
    const body = [publicBytes, initPrivateKey, hpkePrivateKey, signaturePrivateKey];
    return {
      publicBytes,
      privateBytes: Uint8Array.of(privateVersion, ...encode(body, rfc8949EncodeOptions)),
      reference: await makeKeyPackageRef(pair.publicPackage, provider.suite.hash),
    };
  };

/**
 * The private bytes hold the public package too. Throws `state-corrupt`: they come from our own
 * store.
 */
export function decodePrivateBytes(bytes: Uint8Array): KeyPackagePair {
  if (bytes[0] !== privateVersion) {
    throw new SiegelError('state-corrupt', `key package version ${bytes[0] ?? 'missing'}`);
  }
  try {
    const fields: unknown = decode(bytes.subarray(1), { strict: true });
    assert(Array.isArray(fields) && fields.length === 4, 'four fields');
    assert(
      fields.every((field) => field instanceof Uint8Array),
      'octets',
    );
    const [publicBytes, initPrivateKey, hpkePrivateKey, signaturePrivateKey] = fields;
    const publicPackage = parseKeyPackage(publicBytes!);
    assert(publicPackage !== undefined, 'a key package');
    return {
      publicPackage,
      privatePackage: {
        initPrivateKey: initPrivateKey!,
        hpkePrivateKey: hpkePrivateKey!,
        signaturePrivateKey: signaturePrivateKey!,
      },
    };
  } catch (cause) {
    throw new SiegelError('state-corrupt', 'key package', { cause });
  }
}
