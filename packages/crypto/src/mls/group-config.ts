// What every group of ours has in common, in the words of ts-mls: suite, capabilities, key
// retention, certificates.

import { uuidBytes } from '@siegel/protocol/ids';
import { encode, rfc8949EncodeOptions } from 'cborg';
import type { Capabilities, ClientConfig, Credential, Extension } from 'ts-mls';
import { defaultKeyPackageEqualityConfig } from 'ts-mls';
import { equalBytes, fromUtf8, toBase64Url } from '../bytes.ts';
import type { GroupContext } from '../engine.ts';
import { verifyLeafCertificate } from '../leaf-certificate.ts';
import { suiteName } from '../provider.ts';
import { conversationExtension, lastResortExtension } from './extensions.ts';

/**
 * Fixed, without the random grease ts-mls adds by default: a key package should not tell devices
 * apart.
 */
export const capabilities: Capabilities = {
  versions: ['mls10'],
  ciphersuites: [suiteName],
  extensions: [lastResortExtension, conversationExtension],
  proposals: [],
  credentials: ['basic'],
};

/**
 * True when the credential holds a certificate, signed by an account key, for exactly this leaf
 * key.
 */
async function isCertified(credential: Credential, leafKey: Uint8Array): Promise<boolean> {
  if (credential.credentialType !== 'basic') return false;
  try {
    const verified = await verifyLeafCertificate(fromUtf8(credential.identity));
    return verified.outcome === 'valid' && verified.statement.leaf === toBase64Url(leafKey);
  } catch {
    return false;
  }
}

export const clientConfig: ClientConfig = {
  authService: { validateCredential: isCertified },
  keyRetentionConfig: {
    // ts-mls keeps the ratchet secret, not the key, of a skipped message; whoever takes it reads
    // what came after. Keeping none costs late messages, and the relay delivers in order per
    // sender.
    retainKeysForGenerations: 0,
    retainKeysForEpochs: 4,
    // A device that was away for months may have missed hundreds of expired messages of one sender.
    maximumForwardRatchetSteps: 2000,
  },
  // The engine checks lifetimes against the `now` it is given; expiry never stops joining (design
  // §3).
  lifetimeConfig: { maximumTotalLifetime: 90n * 86_400n, validateLifetimeOnReceive: false },
  keyPackageEqualityConfig: defaultKeyPackageEqualityConfig,
  // Content is padded to Padmé sizes before it gets here; padding of ts-mls stops at a fixed
  // length.
  paddingConfig: { kind: 'alwaysPad', paddingLength: 0 },
};

const bindingVersion = 1;

export const groupContextExtension = (context: GroupContext): Extension => ({
  extensionType: conversationExtension,
  extensionData: encode(
    [bindingVersion, uuidBytes(context.conversationId), context.generation],
    rfc8949EncodeOptions,
  ),
});

/**
 * A group of ours has this one extension and no other: no required capabilities, no external
 * senders.
 */
export function isBoundTo(extensions: readonly Extension[], context: GroupContext): boolean {
  const [binding, ...others] = extensions;
  const expected = groupContextExtension(context);
  return (
    binding !== undefined &&
    others.length === 0 &&
    binding.extensionType === expected.extensionType &&
    equalBytes(binding.extensionData, expected.extensionData)
  );
}
