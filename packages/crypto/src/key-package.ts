// Looks at a published key package without being able to use it (RFC 9420 §10.1): the relay does so
// before it stores one, a committer before it adds one.

import { sha256 } from '@noble/hashes/sha2.js';
import { limits } from '@siegel/protocol/limits';
import type { LeafCertificate } from '@siegel/protocol/relay';
import type { Signature } from 'ts-mls';
import {
  decodeKeyPackage,
  type KeyPackage,
  makeKeyPackageRef,
  verifyKeyPackage,
} from 'ts-mls/keyPackage.js';
import { verifyLeafNodeSignatureKeyPackage } from 'ts-mls/leafNode.js';
import { bufferSource, equalBytes, fromUtf8, toBase64Url } from './bytes.ts';
import { verifyLeafCertificate } from './leaf-certificate.ts';
import { conversationExtension, lastResortExtension } from './mls/extensions.ts';
import { suiteName } from './provider.ts';
import { publicCryptoKey } from './signing-key.ts';

export type KeyPackageInspection =
  | {
      readonly outcome: 'valid';
      readonly certificate: LeafCertificate;
      readonly lastResort: boolean;
      /** seconds since 1970 */
      readonly notBefore: number;
      readonly notAfter: number;
      /** RFC 9420 §5.2, base64url */
      readonly reference: string;
    }
  | {
      readonly outcome:
        | 'malformed'
        | 'unsupported'
        | 'signature-invalid'
        | 'certificate-invalid'
        | 'expired'
        | 'lifetime-too-long';
    };

/** Devices' clocks differ; a package is believed this long before it begins. */
export const clockSkewSeconds = 24 * 3600;
const daySeconds = 86_400;

/**
 * `now` in milliseconds. `lifetimeDaysMax` refuses packages that would live longer than they may.
 */
export async function inspectKeyPackage(
  bytes: Uint8Array,
  { now, lifetimeDaysMax = 90 }: { readonly now: number; readonly lifetimeDaysMax?: number },
): Promise<KeyPackageInspection> {
  const keyPackage = parseKeyPackage(bytes);
  if (keyPackage === undefined) return { outcome: 'malformed' };
  if (!isSupported(keyPackage)) return { outcome: 'unsupported' };
  const { leafNode } = keyPackage;
  if (!(await isSigned(keyPackage))) return { outcome: 'signature-invalid' };
  const certificate = await certificateOf(keyPackage);
  if (certificate === undefined) return { outcome: 'certificate-invalid' };
  const notBefore = Number(leafNode.lifetime.notBefore);
  const notAfter = Number(leafNode.lifetime.notAfter);
  const seconds = Math.floor(now / 1000);
  if (notAfter <= seconds || notBefore - clockSkewSeconds > seconds) return { outcome: 'expired' };
  if (notAfter - notBefore > lifetimeDaysMax * daySeconds + 2 * clockSkewSeconds) {
    return { outcome: 'lifetime-too-long' };
  }
  return {
    outcome: 'valid',
    certificate,
    lastResort: keyPackage.extensions.some((ext) => ext.extensionType === lastResortExtension),
    notBefore,
    notAfter,
    reference: toBase64Url(await makeKeyPackageRef(keyPackage, hash)),
  };
}

/**
 * MLSMessage of version mls10 and wire format mls_key_package (RFC 9420 §6), nothing before or
 * after.
 */
const wireHeader = Uint8Array.of(0, 1, 0, 5);

export function parseKeyPackage(bytes: Uint8Array): KeyPackage | undefined {
  if (bytes.length > limits.keyPackageBytesMax) return undefined;
  if (!equalBytes(bytes.subarray(0, wireHeader.length), wireHeader)) return undefined;
  try {
    const decoded = decodeKeyPackage(bytes, wireHeader.length);
    const isWhole = decoded !== undefined && decoded[1] === bytes.length - wireHeader.length;
    return isWhole ? decoded[0] : undefined;
  } catch {
    return undefined;
  }
}

function isSupported({ version, cipherSuite, leafNode, initKey }: KeyPackage): boolean {
  const { capabilities } = leafNode;
  return (
    version === 'mls10' &&
    cipherSuite === suiteName &&
    capabilities.versions.includes('mls10') &&
    capabilities.ciphersuites.includes(suiteName) &&
    capabilities.credentials.includes('basic') &&
    capabilities.extensions.includes(conversationExtension) &&
    !equalBytes(initKey, leafNode.hpkePublicKey)
  );
}

async function isSigned(keyPackage: KeyPackage): Promise<boolean> {
  try {
    return (
      (await verifyLeafNodeSignatureKeyPackage(keyPackage.leafNode, signature)) &&
      (await verifyKeyPackage(keyPackage, signature))
    );
  } catch {
    return false;
  }
}

async function certificateOf({ leafNode }: KeyPackage): Promise<LeafCertificate | undefined> {
  if (leafNode.credential.credentialType !== 'basic') return undefined;
  try {
    const verified = await verifyLeafCertificate(fromUtf8(leafNode.credential.identity));
    const isForThisLeaf =
      verified.outcome === 'valid' &&
      verified.statement.leaf === toBase64Url(leafNode.signaturePublicKey);
    return isForThisLeaf ? verified.statement : undefined;
  } catch {
    return undefined;
  }
}

const neverHere = (): never => {
  throw new Error('inspection neither signs nor makes keys');
};

const signature: Signature = {
  async verify(publicKey, message, value) {
    const key = await publicCryptoKey(publicKey);
    return crypto.subtle.verify('Ed25519', key, bufferSource(value), bufferSource(message));
  },
  sign: neverHere,
  keygen: neverHere,
};

const hash = {
  digest: async (data: Uint8Array) => sha256(data),
  mac: neverHere,
  verifyMac: neverHere,
};
