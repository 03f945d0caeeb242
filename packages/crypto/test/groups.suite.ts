// What changes of a group promise: removal, healing, joining, races between committers, and
// refusals that harm nothing.

import { emptyPskIndex, processMessage } from 'ts-mls';
import { validateRatchetTree } from 'ts-mls/clientState.js';
import { unprotectPrivateMessage } from 'ts-mls/messageProtection.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { assert, toBase64Url } from '../src/bytes.ts';
import { type CryptoProvider, createSigningKey, signLeafCertificate } from '../src/index.ts';
import { parseMessage } from '../src/mls/wire.ts';
import { stateOf } from './malice.ts';
import * as town from './town.ts';

const authenticatorOf = (seat: town.Seat): string =>
  toBase64Url(stateOf(seat).keySchedule.epochAuthenticator);

export function groupsSuite(name: string, makeProvider: () => Promise<CryptoProvider>): void {
  describe(`groups (${name})`, () => {
    let provider: CryptoProvider;
    let alice: town.Account;
    let bakery: town.Account;

    beforeAll(async () => {
      provider = await makeProvider();
      alice = await town.newAccount(provider, 4);
      bakery = await town.newAccount(provider, 2);
    });

    const pair = async () => {
      const devices = [town.device(alice), town.device(bakery)];
      const group = await town.foundGroup(devices, town.contextOf([alice, bakery]));
      const person = town.seatOf(group, town.device(alice));
      return { group, person, gateway: town.seatOf(group, town.device(bakery)) };
    };

    it('are founded with all devices of both sides in one step, in epoch 1', async () => {
      const devices = [...alice.devices, ...bakery.devices];
      const group = await town.foundGroup(devices, town.contextOf([alice, bakery]));
      expect(town.infoOf(town.seatOf(group, town.device(bakery, 2)))).toMatchObject({
        ...group.groupContext,
        status: 'active',
        epoch: 1,
        members: devices.map(({ accountId, deviceId }, leafIndex) => ({
          leafIndex,
          accountId,
          deviceId,
        })),
      });
      await town.expectAgreement(group);
    });

    it('are founded by one device alone, and joined later', async () => {
      const group = await town.foundGroup([town.device(alice)], town.contextOf([alice], 'own'));
      await town.join(group, town.device(alice, 2));
      await town.expectAgreement(group);
    });

    it('are not founded with a late or broken package, or a device not listed', async () => {
      const groupContext = town.newGroupContext();
      const { engine, identity } = town.device(alice);
      const found = (keyPackage: Uint8Array, now = town.now) =>
        engine.foundGroup({
          groupContext,
          identity,
          keyPackages: [keyPackage],
          authorize: town.authorizeBy(town.contextOf([alice, bakery])),
          now,
        });
      const { publicBytes } = await town.keyPackageOf(town.device(bakery), { lifetimeDays: 30 });
      const after = town.now + 31 * town.daySeconds * 1000;
      expect(await found(publicBytes, after)).toMatchObject({ reason: 'key-package-expired' });
      const broken = publicBytes.map((octet, index) => (index === 100 ? octet ^ 1 : octet));
      expect(await found(broken)).toMatchObject({ reason: 'key-package-invalid' });
      expect(await found(new Uint8Array(3))).toMatchObject({ reason: 'key-package-invalid' });
      const unlisted = await town.newDevice(engine, bakery, { id: 9 });
      const stranger = await town.keyPackageOf(unlisted);
      expect(await found(stranger.publicBytes)).toMatchObject({
        reason: 'not-authorized',
        policy: 'device-not-listed',
      });
    });

    it('take a second device in by its own commit while all others are away', async () => {
      const { group, person, gateway } = await pair();
      await town.seal(group, person, 'before');
      const second = await town.join(group, town.device(alice, 2));
      expect(town.infoOf(second).epoch).toBe(2);
      await town.expectAgreement(group);
      expect(town.infoOf(gateway).members).toHaveLength(3);
    });

    it('let a restored device replace its old leaf, and the old one learns it', async () => {
      const { group, gateway } = await pair();
      const old = await town.join(group, town.device(alice, 2));
      const restored = await town.newDevice(old.engine, alice, { id: 3 });
      const listed = { ...alice, devices: [town.device(alice), town.device(alice, 2), restored] };
      group.context = town.contextOf([listed, bakery]);
      const joined = town.expectOutcome(
        await town.tryJoin(group, restored, old.deviceId),
        'joined',
      );
      expect(joined.delta).toMatchObject({
        kind: 'external-commit',
        added: [{ deviceId: 3 }],
        removed: [{ deviceId: 2 }],
      });
      const out = town.expectOutcome(await town.tryAdopt(group, old, joined, restored), 'adopted');
      expect(out.selfRemoved).toBe(true);
      expect(out.delta).toEqual(joined.delta);
      const seat = { ...old, session: out.session };
      expect(await town.trySeal(group, seat, 'x')).toMatchObject({ reason: 'removed' });
      expect(town.infoOf(seat)).toMatchObject({ status: 'removed', members: [] });
      const stored = seat.engine.decodeSession(seat.engine.encodeSession(out.session));
      expect(seat.engine.sessionInfo(stored).status).toBe('removed');
      group.seats.splice(group.seats.indexOf(old), 1);
      const back: town.Seat = { ...restored, session: joined.session };
      await town.settle(group, back, joined);
      group.seats.push(back);
      await town.expectAgreement(group);
      expect(town.infoOf(gateway).members).toHaveLength(3);
    });

    it('let a device that lost its state come back in its own place', async () => {
      const { group, gateway } = await pair();
      const again = await town.join(group, town.device(alice));
      expect(town.infoOf(again).members).toHaveLength(2);
      await town.expectAgreement(group);
      expect(town.infoOf(gateway).members).toHaveLength(2);
    });

    it('let a device in whose certificate has expired, which then may not send', async () => {
      const { group, person, gateway } = await pair();
      const stale = await town.newDevice(person.engine, alice, { id: 9, expiresAt: town.seconds });
      const listed = { ...alice, devices: [town.device(alice), stale] };
      group.context = town.contextOf([listed, bakery]);
      const seat = await town.join(group, stale);
      expect(await town.trySeal(group, seat, 'x')).toMatchObject({
        outcome: 'refused',
        reason: 'certificate-expired',
      });
      expect(await town.open(seat, await town.seal(group, gateway, 'still reads'))).toBe(
        'still reads',
      );
      await town.commit(group, seat);
    });

    it('shut a removed device out: its own epoch never meets the next', async () => {
      const { group, person, gateway } = await pair();
      const second = await town.join(group, town.device(alice, 2));
      const { leafIndex } = town.memberOf(person, second);
      const before = second.session;
      const pending = town.expectOutcome(
        await town.tryCommit(group, person, { remove: [leafIndex] }),
        'committed',
      );
      expect(await hasPath(provider, second, pending.commit), 'a removal carries a path').toBe(
        true,
      );
      const adopted = town.expectOutcome(
        await town.tryAdopt(group, second, pending, person),
        'adopted',
      );
      expect(adopted.selfRemoved).toBe(true);
      await town.settle(group, person, pending);
      expect(authenticatorOf({ ...second, session: before })).not.toBe(authenticatorOf(person));
      expect(authenticatorOf(person)).toBe(authenticatorOf(gateway));
      const secret = await town.seal(group, person, 'without the second');
      expect(await town.tryOpen({ ...second, session: before }, secret)).toMatchObject({
        reason: 'epoch-ahead',
      });
      expect(await town.open(gateway, secret)).toBe('without the second');
    });

    it('keep out a removed device that goes on with ts-mls by itself', async () => {
      const { group, person } = await pair();
      const second = await town.join(group, town.device(alice, 2));
      const state = stateOf(second);
      const { leafIndex } = town.memberOf(person, second);
      const pending = town.expectOutcome(
        await town.tryCommit(group, person, { remove: [leafIndex] }),
        'committed',
      );
      const message = parseMessage(pending.commit);
      assert(message?.wireformat === 'mls_private_message', 'a private commit');
      const result = await processMessage(
        message,
        state,
        emptyPskIndex,
        () => 'accept',
        provider.suite,
      );
      const next = { ...person, session: pending.session };
      expect(toBase64Url(result.newState.keySchedule.epochAuthenticator)).not.toBe(
        authenticatorOf(next),
      );
    });

    it('heal with an empty commit', async () => {
      const { group, person, gateway } = await pair();
      const before = stateOf(person).ratchetTree;
      const pending = await town.commit(group, gateway);
      expect(pending.delta).toMatchObject({ added: [], removed: [] });
      expect(pending.delta.updated).toBeUndefined();
      expect(stateOf(person).ratchetTree).not.toEqual(before);
      await town.expectAgreement(group);
    });

    it('carry a renewed certificate of the committer’s own leaf, and no other', async () => {
      const { group, person, gateway } = await pair();
      const renew = (expiresInDays: number, leaf = person.identity.leafKey, id = 1) =>
        signLeafCertificate(
          {
            v: 1,
            sub: alice.accountId,
            key: toBase64Url(alice.key.publicKey),
            dev: town.deviceId(id),
            leaf: toBase64Url(leaf.publicKey),
            iat: town.seconds,
            exp: town.seconds + expiresInDays * town.daySeconds,
          },
          alice.key,
        );
      const certificate = await renew(180);
      const before = await town.seal(group, person, 'under the old certificate');
      const pending = await town.commit(group, person, { certificate });
      expect(pending.delta.updated?.after.certificate).toBe(certificate);
      expect(town.memberOf(gateway, person).certificate).toBe(certificate);
      const opened = town.expectOutcome(await town.tryOpen(gateway, before), 'opened');
      expect(opened.sender.certificate).toBe(person.identity.certificate);
      await town.expectAgreement(group);
      const wrong = [
        await renew(180, await createSigningKey()),
        await renew(180, undefined, 2),
        'x',
      ];
      for (const other of wrong) {
        expect(await town.tryCommit(group, person, { certificate: other })).toMatchObject({
          reason: 'certificate-invalid',
        });
      }
    });

    it('with two committers at once: the loser adopts the winner and commits again', async () => {
      const { group, person, gateway } = await pair();
      const winner = town.expectOutcome(await town.tryCommit(group, person), 'committed');
      const loser = town.expectOutcome(await town.tryCommit(group, gateway), 'committed');
      await town.settle(group, person, winner);
      expect(await town.tryAdopt(group, person, loser, gateway)).toMatchObject({
        reason: 'epoch-past',
      });
      await town.commit(group, gateway);
      await town.expectAgreement(group);
      expect(town.infoOf(person).epoch).toBe(3);
    });

    it('open what was sealed in the epoch the reader has just closed', async () => {
      const { group, person, gateway } = await pair();
      const crossing = await town.seal(group, person, 'crossing');
      await town.commit(group, gateway);
      expect(await town.open(gateway, crossing)).toBe('crossing');
    });

    it('refuse a commit of a coming epoch, the own one, and one under another header', async () => {
      const { group, person, gateway } = await pair();
      const first = town.expectOutcome(await town.tryCommit(group, person), 'committed');
      const ahead = { ...person, session: first.session };
      const second = town.expectOutcome(await town.tryCommit(group, ahead), 'committed');
      expect(await town.tryAdopt(group, gateway, second, person)).toMatchObject({
        reason: 'epoch-ahead',
      });
      expect(await town.tryAdopt(group, person, first, person)).toMatchObject({
        reason: 'own-commit',
      });
      const header = { ...first.header, clientId: town.newClientId() };
      expect(await town.tryAdopt(group, gateway, { ...first, header }, person)).toMatchObject({
        reason: 'header-mismatch',
      });
      expect(await town.tryAdopt(group, gateway, first, gateway)).toMatchObject({
        reason: 'sender-mismatch',
      });
      await town.settle(group, person, first);
      await town.expectAgreement(group);
    });

    it('let anybody remove a leaf that left its account’s list, and no other', async () => {
      const { group, person, gateway } = await pair();
      const second = await town.join(group, town.device(alice, 2));
      const { leafIndex } = town.memberOf(gateway, second);
      const removal = { remove: [leafIndex] };
      expect(await town.tryCommit(group, gateway, removal)).toMatchObject({
        reason: 'not-authorized',
        policy: 'foreign-leaf-removed',
      });
      group.context = town.contextOf([{ ...alice, devices: [town.device(alice)] }, bakery]);
      await town.commit(group, gateway, removal);
      expect(group.seats).toEqual([person, gateway]);
      await town.expectAgreement(group);
    });

    it('take a last-resort package more than once, and a device only once', async () => {
      const keyPackage = await town.keyPackageOf(town.device(bakery), { lastResort: true });
      const context = town.contextOf([alice, bakery]);
      const { engine, identity } = town.device(alice);
      for (let round = 0; round < 2; round += 1) {
        const groupContext = town.newGroupContext();
        const keyPackages = [keyPackage.publicBytes];
        const authorize = town.authorizeBy(context);
        const now = town.now;
        const founded = town.expectOutcome(
          await engine.foundGroup({ groupContext, identity, keyPackages, authorize, now }),
          'founded',
        );
        const place = { groupContext, context };
        await town.sitDown(town.device(bakery), place, founded.welcome, keyPackage);
      }
      const { group, person } = await pair();
      const own = await town.keyPackageOf(town.device(alice, 2));
      await town.commit(group, person, { add: [own.publicBytes] });
      const twice = await town.newDevice(person.engine, alice, { id: 2 });
      const listed = { ...alice, devices: [...alice.devices, twice] };
      group.context = town.contextOf([listed, bakery]);
      const again = await town.keyPackageOf(twice);
      expect(await town.tryCommit(group, person, { add: [again.publicBytes] })).toMatchObject({
        reason: 'duplicate-device',
      });
    });

    it('refuse a Welcome for others, for another conversation, or a broken one', async () => {
      const groupContext = town.newGroupContext();
      const context = town.contextOf([alice, bakery]);
      const authorize = town.authorizeBy(context);
      const { engine, identity } = town.device(alice);
      const mine = await town.keyPackageOf(town.device(bakery));
      const other = await town.keyPackageOf(town.device(bakery));
      const founded = town.expectOutcome(
        await engine.foundGroup({
          groupContext,
          identity,
          keyPackages: [mine.publicBytes],
          authorize,
          now: town.now,
        }),
        'founded',
      );
      const { welcome } = founded;
      assert(welcome !== undefined, 'a Welcome');
      expect(engine.keyPackagesOfWelcome(welcome)).toEqual([mine.reference]);
      expect(engine.keyPackagesOfWelcome(welcome.subarray(1))).toEqual([]);
      const keyPackage = mine.privateBytes;
      const join = (changes: object) =>
        engine.joinByWelcome({ groupContext, welcome, keyPackage, authorize, ...changes });
      const reasons = [
        [{ keyPackage: other.privateBytes }, 'not-for-this-key-package'],
        [{ groupContext: town.newGroupContext() }, 'wrong-conversation'],
        [{ groupContext: { ...groupContext, generation: 1 } }, 'wrong-conversation'],
        [{ welcome: welcome.subarray(0, -1) }, 'malformed'],
        [{ welcome: welcome.map((octet, at) => (at === 200 ? octet ^ 1 : octet)) }, 'unopenable'],
        [{ authorize: town.authorizeBy(town.contextOf([alice])) }, 'not-authorized'],
      ] as const;
      for (const [changes, reason] of reasons) {
        expect(await join(changes), reason).toMatchObject({ outcome: 'refused', reason });
      }
      expect((await join({})).outcome).toBe('joined');
    });

    it('admit by Welcome and by external commit after a refresh that follows an Add', async () => {
      // ts-mls 1.6.4 refuses such a tree: not every ancestor lists the same unmerged leaves.
      const devices = [...alice.devices, town.device(bakery)];
      const group = await town.foundGroup(devices, town.contextOf([alice, bakery]));
      const at = (n: number) => town.seatOf(group, town.device(alice, n));
      for (const n of [1, 2, 3, 4]) await town.commit(group, at(n));
      const { leafIndex } = town.memberOf(at(1), town.device(alice, 4));
      await town.commit(group, at(1), { remove: [leafIndex] });
      for (const n of [3, 1]) await town.commit(group, at(n));
      await town.add(group, at(1), town.device(alice, 4));
      // From the other half of the tree: the root forgets the unmerged leaf, the node over Alice's
      // four does not.
      await town.commit(group, town.seatOf(group, town.device(bakery)));
      expect(await complaintOfTsMls(provider, at(1))).toContain('unmerged_leaves');
      await town.join(group, town.device(bakery, 2));
      const { leafIndex: gone } = town.memberOf(at(1), town.device(bakery, 2));
      const seat = town.seatOf(group, town.device(bakery));
      await town.commit(group, seat, { remove: [gone] });
      await town.add(group, seat, town.device(bakery, 2));
      await town.expectAgreement(group);
    });

    it('keep their sessions through the stored form, and know an unknown version', async () => {
      const { group, person, gateway } = await pair();
      const crossing = await town.seal(group, person, 'crossing');
      await town.commit(group, person);
      const { engine } = gateway;
      const bytes = engine.encodeSession(gateway.session);
      gateway.session = engine.decodeSession(bytes);
      expect(engine.encodeSession(gateway.session)).toEqual(bytes);
      expect(await town.open(gateway, crossing)).toBe('crossing');
      await town.expectAgreement(group);
      const stateCorrupt = expect.objectContaining({ code: 'state-corrupt' });
      const other = Uint8Array.of(2, ...bytes.subarray(1));
      for (const wrong of [other, new Uint8Array(), bytes.subarray(0, 50), Uint8Array.of(1)]) {
        expect(() => engine.decodeSession(wrong)).toThrow(stateCorrupt);
      }
    });
  });
}

async function hasPath(
  provider: CryptoProvider,
  reader: town.Seat,
  commit: Uint8Array,
): Promise<boolean> {
  const message = parseMessage(commit);
  assert(message?.wireformat === 'mls_private_message', 'commits of members are private');
  const { clientConfig, groupContext, keySchedule, ratchetTree, secretTree } = stateOf(reader);
  const { content } = await unprotectPrivateMessage(
    keySchedule.senderDataSecret,
    message.privateMessage,
    secretTree,
    ratchetTree,
    groupContext,
    clientConfig.keyRetentionConfig,
    provider.suite,
  );
  const inner = content.content;
  return inner.contentType === 'commit' && inner.commit.path !== undefined;
}

/**
 * What the tree check of the pinned ts-mls says; once it is content, our own check and joins can
 * go.
 */
async function complaintOfTsMls(provider: CryptoProvider, seat: town.Seat): Promise<string> {
  const { clientConfig, groupContext, ratchetTree } = stateOf(seat);
  const { authService, lifetimeConfig } = clientConfig;
  const complaint = await validateRatchetTree(
    ratchetTree,
    groupContext,
    lifetimeConfig,
    authService,
    groupContext.treeHash,
    provider.suite,
  );
  return complaint?.message ?? 'none';
}
