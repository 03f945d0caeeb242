// The small interface between Siegel and its group encryption. `mls/` fills it with ts-mls; OpenMLS
// speaks the same wire format and can take its place. A session goes in, a new session comes out;
// nothing is changed in place.

import type { ClientId, ConversationId, DeviceId } from '@siegel/protocol/ids';
import type { DeviceAddress, EnvelopeHeader } from '@siegel/protocol/relay';
import type { CommitDecision, PolicyRefusal } from './commit-policy.ts';
import type { Member, RosterDelta } from './roster.ts';
import type { SigningKey } from './signing-key.ts';

/**
 * Who this device is inside a group: its certificate (JWS, signed by the account key) and the key
 * the certificate names.
 */
export type DeviceIdentity = { readonly certificate: string; readonly leafKey: SigningKey };

/**
 * A conversation id is not an MLS group id: a conversation has numbered generations, each a group
 * of its own.
 */
export type GroupContext = {
  readonly conversationId: ConversationId;
  readonly generation: number;
};

/**
 * The caller's policy, usually `decideCommit` with what it knows. Asked before anything is adopted.
 */
export type Authorize = (delta: RosterDelta) => CommitDecision | Promise<CommitDecision>;

/** One device's place in one generation of a conversation. Opaque; stored with `encodeSession`. */
export type Session = { readonly brand: 'session' };

export type SessionInfo = GroupContext & {
  /** after `removed` this device can neither seal nor open in this generation */
  readonly status: 'active' | 'removed';
  readonly epoch: number;
  readonly own: Member | undefined;
  readonly members: readonly Member[];
};

export type NewKeyPackage = {
  /** what is published */
  readonly publicBytes: Uint8Array;
  /** secret; kept until a Welcome used it, or it is past its lifetime */
  readonly privateBytes: Uint8Array;
  /** RFC 9420 §5.2; a Welcome names it */
  readonly reference: Uint8Array;
};

/** A commit that was made but not yet taken by the relay. Store `session` only when it was. */
export type PendingCommit = {
  readonly session: Session;
  readonly commit: Uint8Array;
  readonly groupInfo: Uint8Array;
  readonly delta: RosterDelta;
  readonly header: EnvelopeHeader;
  /** the epoch the commit was made in; the session is in the next one */
  readonly epoch: number;
};

export type FoundRefusal = KeyPackageRefusal | SharedRefusal;
export type Founded =
  | {
      readonly outcome: 'founded';
      /** in epoch 1 */
      readonly session: Session;
      /** absent when nobody was added */
      readonly welcome: Uint8Array | undefined;
      readonly groupInfo: Uint8Array;
      readonly delta: RosterDelta;
    }
  | Refused<FoundRefusal>;

export type JoinRefusal =
  | 'malformed'
  /** the Welcome names none of this key package */
  | 'not-for-this-key-package'
  /** it does not open, or what it holds contradicts itself */
  | 'unopenable'
  /** another conversation or generation than the relay said */
  | 'wrong-conversation'
  | SharedRefusal;
export type Joined =
  | { readonly outcome: 'joined'; readonly session: Session; readonly delta: RosterDelta }
  | Refused<JoinRefusal>;
export type JoinedExternally =
  | ({ readonly outcome: 'joined' } & PendingCommit)
  | Refused<JoinRefusal>;

export type CommitRefusal = KeyPackageRefusal | 'no-such-leaf' | 'removed' | SharedRefusal;
export type Committed =
  | ({ readonly outcome: 'committed'; readonly welcome: Uint8Array | undefined } & PendingCommit)
  | Refused<CommitRefusal>;

export type AdoptRefusal =
  | 'malformed'
  | 'wrong-conversation'
  | 'header-mismatch'
  | 'sender-mismatch'
  | 'epoch-ahead'
  | 'epoch-past'
  | 'own-commit'
  /** a proposal other than add and remove by value */
  | 'proposal-refused'
  | 'unopenable'
  | 'removed'
  | SharedRefusal;
export type Adopted =
  | {
      readonly outcome: 'adopted';
      readonly session: Session;
      readonly delta: RosterDelta;
      readonly selfRemoved: boolean;
    }
  | Refused<AdoptRefusal>;

export type Sealed =
  | {
      readonly outcome: 'sealed';
      /** store it before `mls` leaves this process: two messages from one state lose the second */
      readonly session: Session;
      readonly mls: Uint8Array;
      readonly header: EnvelopeHeader;
      readonly epoch: number;
      /**
       * as sealed inside: with it the sender proves later that a content sent again is the one
       * committed to here
       */
      readonly frankingKey: Uint8Array;
    }
  | Refused<'certificate-expired' | 'removed' | 'header-inconsistent' | 'wrong-conversation'>;

export type OpenRefusal =
  | 'malformed'
  | 'wrong-conversation'
  | 'header-mismatch'
  | 'sender-mismatch'
  /** a past epoch, and its sender has been removed since */
  | 'sender-removed'
  | 'commitment-mismatch'
  | 'epoch-ahead'
  | 'epoch-unknown'
  /** opened before, or overtaken by a later message of the same sender: its key is gone */
  | 'replayed'
  | 'too-far-ahead'
  | 'unopenable'
  | 'removed';
export type Opened =
  | {
      readonly outcome: 'opened';
      readonly session: Session;
      readonly content: Uint8Array;
      readonly frankingKey: Uint8Array;
      readonly sender: Member;
      readonly epoch: number;
      /** true ends the sender's badge; the message still counts (design §3) */
      readonly certificateExpired: boolean;
    }
  | Refused<OpenRefusal>;

export type KeyPackageRefusal = 'key-package-invalid' | 'key-package-expired';

/**
 * Two leaves for one device, a certificate nobody signed, or the caller's own policy (`policy` says
 * which rule).
 */
export type SharedRefusal = 'duplicate-device' | 'certificate-invalid' | 'not-authorized';

export type Refused<Reason extends string> = {
  readonly outcome: 'refused';
  readonly reason: Reason;
  readonly policy?: PolicyRefusal;
};

/**
 * `now` is always in milliseconds since 1970. Expected refusals are outcomes; a throw is a failure
 * or a bug.
 */
export type Engine = {
  newKeyPackage(request: {
    readonly identity: DeviceIdentity;
    readonly now: number;
    readonly lifetimeDays: number;
    readonly lastResort: boolean;
  }): Promise<NewKeyPackage>;

  /** References of the key packages a Welcome is for; empty when it is none. */
  keyPackagesOfWelcome(welcome: Uint8Array): readonly Uint8Array[];

  foundGroup(request: {
    readonly groupContext: GroupContext;
    readonly identity: DeviceIdentity;
    readonly keyPackages: readonly Uint8Array[];
    readonly authorize: Authorize;
    readonly now: number;
  }): Promise<Founded>;

  joinByWelcome(request: {
    readonly groupContext: GroupContext;
    readonly welcome: Uint8Array;
    /** private bytes of the key package it names */
    readonly keyPackage: Uint8Array;
    readonly authorize: Authorize;
  }): Promise<Joined>;

  joinByExternalCommit(request: {
    readonly groupContext: GroupContext;
    readonly groupInfo: Uint8Array;
    readonly identity: DeviceIdentity;
    readonly clientId: ClientId;
    /**
     * an own old leaf to remove; without it this very device's, if it has one (RFC 9420 §12.4.3.2
     * allows one)
     */
    readonly replaces?: DeviceId;
    readonly authorize: Authorize;
    readonly now: number;
  }): Promise<JoinedExternally>;

  /** Nothing to add or remove is a refresh, which heals this device's keys. */
  commitChanges(
    session: Session,
    request: {
      readonly clientId: ClientId;
      readonly add?: readonly Uint8Array[];
      readonly remove?: readonly number[];
      /** a renewed certificate for this device's own leaf; travels with a refresh or a removal */
      readonly certificate?: string;
      readonly authorize: Authorize;
      readonly now: number;
    },
  ): Promise<Committed>;

  /** A refused commit leaves `session` as usable as it was. */
  adoptCommit(
    session: Session,
    envelope: {
      readonly commit: Uint8Array;
      readonly header: EnvelopeHeader;
      readonly epoch: number;
      readonly sender: DeviceAddress;
      readonly authorize: Authorize;
    },
  ): Promise<Adopted>;

  seal(
    session: Session,
    message: {
      readonly header: Omit<EnvelopeHeader, 'commitment'>;
      readonly content: Uint8Array;
      readonly now: number;
    },
  ): Promise<Sealed>;

  open(
    session: Session,
    envelope: {
      readonly mls: Uint8Array;
      readonly header: EnvelopeHeader;
      readonly epoch: number;
      readonly sender: DeviceAddress;
      readonly now: number;
    },
  ): Promise<Opened>;

  encodeSession(session: Session): Uint8Array;
  /** Throws `state-corrupt` for octets it did not write, and for a version it does not know. */
  decodeSession(bytes: Uint8Array): Session;
  sessionInfo(session: Session): SessionInfo;
};
