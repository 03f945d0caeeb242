// Who may change a roster (design §3), rule by rule.

import { AccountId, DeviceId } from '@siegel/protocol/ids';
import { describe, expect, it } from 'vitest';
import {
  type CommitContext,
  decideCommit,
  type KnownAccount,
  leavesToRemove,
} from './commit-policy.ts';
import type { Member, RosterDelta } from './roster.ts';

const accountIds = [1, 2, 3].map((n) => AccountId.parse(`00000000-0000-4000-8000-00000000000${n}`));
const [alice, bakery, carol] = accountIds;
const keyOf = (accountId: string) => `key of ${accountId}`;

const leaf = (accountId: AccountId | undefined, device: number, leafIndex = device): Member => ({
  leafIndex,
  accountId: AccountId.parse(accountId),
  deviceId: DeviceId.parse(device),
  accountKey: keyOf(String(accountId)),
  leafKey: `leaf ${accountId} ${device}`,
  certificate: 'a.b.c',
  expiresAt: 0,
});

const known = (
  accountId: AccountId | undefined,
  devices: readonly number[],
  role: KnownAccount['role'] = 'member',
): KnownAccount => ({
  accountId: AccountId.parse(accountId),
  accountKey: keyOf(String(accountId)),
  role,
  deviceList: {
    v: 1,
    sub: AccountId.parse(accountId),
    key: keyOf(String(accountId)),
    version: 1,
    next: DeviceId.parse(100),
    devices: devices.map((id) => ({
      id: DeviceId.parse(id),
      leaf: leaf(accountId, id).leafKey,
      role: 'linked',
      added: 0,
    })),
    iat: 0,
  },
});

const context: CommitContext = {
  kind: 'business',
  accounts: [known(alice, [1, 2, 3]), known(bakery, [1])],
};

const delta = (changes: Partial<RosterDelta>): RosterDelta => ({
  kind: 'commit',
  committer: leaf(alice, 1),
  added: [],
  removed: [],
  members: [],
  ...changes,
});

const decide = (changes: Partial<RosterDelta>, within: CommitContext = context) => {
  const decision = decideCommit(delta(changes), within);
  return decision.outcome === 'allowed' ? 'allowed' : decision.policy;
};

describe('a member’s commit', () => {
  it('may heal, add and remove devices of its own account', () => {
    expect(decide({})).toBe('allowed');
    expect(decide({ added: [leaf(alice, 2)], removed: [leaf(alice, 3)] })).toBe('allowed');
  });

  it('may not add or remove devices of others', () => {
    expect(decide({ added: [leaf(bakery, 1)] })).toBe('foreign-leaf-added');
    expect(decide({ removed: [leaf(bakery, 1)] })).toBe('foreign-leaf-removed');
  });

  it('may remove any leaf that left its account’s list, also one whose key was replaced', () => {
    expect(decide({ removed: [leaf(bakery, 7)] })).toBe('allowed');
    expect(decide({ removed: [{ ...leaf(bakery, 1), leafKey: 'older' }] })).toBe('allowed');
    expect(decide({ removed: [leaf(carol, 1)] })).toBe('foreign-leaf-removed');
  });

  it('may remove an account that is leaving', () => {
    const leaving = { ...context, accounts: [known(alice, [1]), known(bakery, [1], 'leaving')] };
    expect(decide({ removed: [leaf(bakery, 1)] }, leaving)).toBe('allowed');
  });

  it('is refused from a device that is not listed, an unknown account, another key', () => {
    expect(decide({ committer: leaf(alice, 9) })).toBe('device-not-listed');
    expect(decide({ committer: leaf(carol, 1) })).toBe('account-unknown');
    expect(decide({ committer: { ...leaf(alice, 1), accountKey: 'new' } })).toBe(
      'account-key-changed',
    );
  });

  it('may not add a device that is not listed, or listed with another leaf key', () => {
    expect(decide({ added: [leaf(alice, 9)] })).toBe('device-not-listed');
    expect(decide({ added: [{ ...leaf(alice, 2), leafKey: 'mine' }] })).toBe('device-not-listed');
  });

  it('keeps its own identity', () => {
    const before = leaf(alice, 2);
    const after = leaf(alice, 1);
    expect(decide({ updated: { before, after } })).toBe('identity-changed');
    expect(decide({ updated: { before: after, after: { ...after, certificate: 'd.e.f' } } })).toBe(
      'allowed',
    );
  });

  it('changes others in a group only when it is an admin’s', () => {
    const group = (role: KnownAccount['role']): CommitContext => ({
      kind: 'group',
      accounts: [known(alice, [1], role), known(bakery, [1]), known(carol, [1])],
    });
    const changes = { added: [leaf(carol, 1)], removed: [leaf(bakery, 1)] };
    const chat = { accounts: [known(alice, [1], 'admin'), known(carol, [1])] };
    expect(decide(changes, group('admin'))).toBe('allowed');
    expect(decide(changes, group('member'))).toBe('foreign-leaf-added');
    expect(decide({ added: [leaf(carol, 9)] }, group('admin'))).toBe('device-not-listed');
    expect(decide(changes, { ...chat, kind: 'business' })).toBe('foreign-leaf-added');
  });
});

describe('an external commit', () => {
  const joiner = leaf(alice, 2);
  const join = { kind: 'external-commit' as const, committer: joiner };

  it('adds itself and may remove leaves of its own account', () => {
    expect(decide({ ...join, added: [joiner] })).toBe('allowed');
    expect(decide({ ...join, added: [joiner], removed: [leaf(alice, 1)] })).toBe('allowed');
  });

  it('adds nobody else and removes nobody else, revoked or not', () => {
    expect(decide({ ...join, added: [] })).toBe('adds-more-than-itself');
    expect(decide({ ...join, added: [joiner, leaf(alice, 3)] })).toBe('adds-more-than-itself');
    expect(decide({ ...join, added: [joiner], removed: [leaf(bakery, 1)] })).toBe(
      'foreign-leaf-removed',
    );
    expect(decide({ ...join, added: [joiner], removed: [leaf(bakery, 7)] })).toBe(
      'foreign-leaf-removed',
    );
  });

  it('is refused from a device that was revoked', () => {
    const revoked = leaf(alice, 9);
    expect(decide({ ...join, committer: revoked, added: [revoked] })).toBe('device-not-listed');
  });
});

describe('a stranger', () => {
  const stranger = leaf(carol, 1);

  it('is refused wherever it sits and however it came', () => {
    expect(decide({ added: [stranger], committer: leaf(alice, 1) })).toBe('account-unknown');
    const external = { kind: 'external-commit' as const, committer: stranger, added: [stranger] };
    expect(decide(external)).toBe('account-unknown');
    const members = [leaf(alice, 1), leaf(bakery, 1), stranger];
    for (const kind of ['founding', 'joining', 'commit'] as const) {
      expect(decide({ kind, members })).toBe('account-unknown');
    }
    const joiner = leaf(alice, 2);
    const entering = { kind: 'external-commit' as const, committer: joiner, added: [joiner] };
    expect(decide({ ...entering, members: [...members, joiner] })).toBe('account-unknown');
  });

  it('is none more than the kind can have, even if the caller believes so', () => {
    const three = [known(alice, [1]), known(bakery, [1]), known(carol, [1])];
    for (const kind of ['own', 'direct', 'business'] as const) {
      expect(decide({}, { kind, accounts: three })).toBe('account-unknown');
    }
    expect(decide({}, { kind: 'own', accounts: three.slice(0, 2) })).toBe('account-unknown');
    expect(decide({}, { kind: 'own', accounts: three.slice(0, 1) })).toBe('allowed');
    expect(decide({}, { kind: 'group', accounts: three })).toBe('allowed');
  });

  it('does not enter a group by itself, but a further device of a member does', () => {
    const group: CommitContext = {
      kind: 'group',
      accounts: [known(alice, [1, 2], 'admin'), known(bakery, [1]), known(carol, [1])],
    };
    const kind = 'external-commit';
    const seated = [leaf(alice, 1, 0), leaf(bakery, 1, 1)];
    const enter = (joiner: Member, before = seated, removed: Member[] = []) =>
      decide(
        { kind, committer: joiner, added: [joiner], removed, members: [...before, joiner] },
        group,
      );
    expect(enter(leaf(carol, 1, 2))).toBe('account-unknown');
    expect(enter(leaf(alice, 2, 2))).toBe('allowed');
    expect(enter(leaf(alice, 1, 0), seated.slice(1), [leaf(alice, 1, 0)])).toBe('allowed');
  });
});

describe('founding and joining', () => {
  it('founders add whom they like of the conversation’s accounts, but only listed devices', () => {
    const kind = 'founding';
    expect(decide({ kind, added: [leaf(alice, 1), leaf(bakery, 1)] })).toBe('allowed');
    expect(decide({ kind, added: [leaf(bakery, 4)] })).toBe('device-not-listed');
    expect(decide({ kind, added: [leaf(carol, 1)] })).toBe('account-unknown');
  });

  it('joiners meet revoked leaves, which they must remove, but no stranger', () => {
    const kind = 'joining';
    const committer = leaf(alice, 1);
    const members = [committer, leaf(bakery, 4)];
    expect(decide({ kind, committer, added: members })).toBe('allowed');
    expect(leavesToRemove(members, context)).toEqual([leaf(bakery, 4)]);
    expect(decide({ kind, committer, added: [committer, leaf(carol, 1)] })).toBe('account-unknown');
    expect(decide({ kind, committer: leaf(alice, 9), added: members })).toBe('device-not-listed');
    const changed = { ...leaf(bakery, 1), accountKey: 'new' };
    expect(decide({ kind, committer, added: [changed] })).toBe('account-key-changed');
  });
});
