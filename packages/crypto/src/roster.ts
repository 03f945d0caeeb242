// Who sits on the leaves of a group, and what a commit does to them: the words the engine and the
// commit policy share.

import type { DeviceAddress } from '@siegel/protocol/relay';

/** A leaf of the group, as its verified certificate describes it. */
export type Member = DeviceAddress & {
  readonly leafIndex: number;
  /** public account key, base64url */
  readonly accountKey: string;
  /** public leaf key, base64url */
  readonly leafKey: string;
  readonly certificate: string;
  /** seconds since 1970 */
  readonly expiresAt: number;
};

/**
 * What a commit does to the roster, found by comparing the ratchet trees before and after it.
 * `joining` is what somebody who enters an existing group sees: everybody there is `added`, and
 * `committer` is the joiner itself.
 */
export type RosterDelta = {
  readonly kind: 'founding' | 'joining' | 'commit' | 'external-commit';
  readonly committer: Member;
  readonly added: readonly Member[];
  readonly removed: readonly Member[];
  /** the committer's own leaf when its certificate or key changed */
  readonly updated?: { readonly before: Member; readonly after: Member };
  /** all leaves afterwards */
  readonly members: readonly Member[];
};
