// Message franking: the sender commits to the content with a key sealed inside it. Whoever opened
// the message can show content and key, and nobody can show other content for the same commitment.

import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import type { RelayTag } from '@siegel/protocol/relay';
import { equalBytes, fromBase64Url, toBase64Url } from './bytes.ts';
import { type Tagged, type TagKey, verifyRelayTag } from './relay-tag.ts';

export const frankingKeyBytes = 32;

/**
 * HMAC-SHA-256 (RFC 2104) over the content; SHA-256 being collision resistant, it binds content and
 * key.
 */
export const makeCommitment = (content: Uint8Array, frankingKey: Uint8Array): string =>
  toBase64Url(hmac(sha256, frankingKey, content));

export function verifyCommitment(
  content: Uint8Array,
  frankingKey: Uint8Array,
  commitment: string,
): boolean {
  // HMAC pads short keys with zeros, so keys of other lengths could be two names for one key.
  if (frankingKey.length !== frankingKeyBytes) return false;
  try {
    return equalBytes(
      fromBase64Url(makeCommitment(content, frankingKey)),
      fromBase64Url(commitment),
    );
  } catch {
    return false;
  }
}

/** What a reporter chooses to release of one message. */
export type Report = {
  readonly content: Uint8Array;
  readonly frankingKey: Uint8Array;
  readonly tagged: Tagged;
  readonly tag: RelayTag;
};

export type ReportOutcome =
  | { readonly outcome: 'authentic' }
  | { readonly outcome: 'commitment-mismatch' }
  | { readonly outcome: 'tag-invalid' };

/**
 * The relay's check: this content was committed to, and this very commitment was once delivered by
 * us.
 */
export function verifyReport(report: Report, keys: readonly TagKey[]): ReportOutcome {
  if (!verifyRelayTag(report.tagged, report.tag, keys)) return { outcome: 'tag-invalid' };
  return verifyCommitment(report.content, report.frankingKey, report.tagged.commitment)
    ? { outcome: 'authentic' }
    : { outcome: 'commitment-mismatch' };
}
