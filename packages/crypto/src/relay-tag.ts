// The relay's own franking tag on each delivered envelope. The device keeps it, so a report months
// later needs nothing stored at the relay; the relay verifies its own word with the key named by
// `keyId`.

import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { encodeTagged, type RelayTag } from '@siegel/protocol/relay';
import { equalBytes, fromBase64Url, toBase64Url } from './bytes.ts';

/** What a tag covers. */
export type Tagged = Parameters<typeof encodeTagged>[0];

/**
 * A secret of the relay, 32 octets, under a short name. Old ones stay for as long as reports are
 * taken.
 */
export type TagKey = { readonly keyId: string; readonly key: Uint8Array };

/**
 * Synchronous on purpose: it stands on the path of every envelope, where a WebCrypto job costs more
 * than the HMAC.
 */
export const makeRelayTag = (tagged: Tagged, { keyId, key }: TagKey): RelayTag => ({
  keyId,
  value: toBase64Url(hmac(sha256, key, encodeTagged(tagged))),
});

/** False also when the key is no longer known. */
export function verifyRelayTag(tagged: Tagged, tag: RelayTag, keys: readonly TagKey[]): boolean {
  const known = keys.find((key) => key.keyId === tag.keyId);
  if (known === undefined) return false;
  try {
    const expected = hmac(sha256, known.key, encodeTagged(tagged));
    return equalBytes(expected, fromBase64Url(tag.value));
  } catch {
    // The tagged fields and the value come from a reporter.
    return false;
  }
}
