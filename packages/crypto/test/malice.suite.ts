// Insiders, outsiders and a relay that lies: each is refused by name, and the session stays usable.

import { encodeHeader } from '@siegel/protocol/relay';
import type { Proposal } from 'ts-mls';
import { createGroupInfoWithExternalPubAndRatchetTree } from 'ts-mls';
import { protectApplicationData } from 'ts-mls/messageProtection.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { toBase64Url, utf8 } from '../src/bytes.ts';
import { makeCommitment } from '../src/franking.ts';
import { type CryptoProvider, signLeafCertificate } from '../src/index.ts';
import { clientConfig } from '../src/mls/group-config.ts';
import { generateKeyPackage } from '../src/mls/new-key-package.ts';
import { writeMessage } from '../src/mls/wire.ts';
import { writeSealedFrame } from '../src/sealed-frame.ts';
import { forgeCommit, forgeExternalCommit, stateOf } from './malice.ts';
import * as town from './town.ts';

const keyOf = (account: town.Account) => toBase64Url(account.key.publicKey);

export function maliceSuite(name: string, makeProvider: () => Promise<CryptoProvider>): void {
  describe(`malice (${name})`, () => {
    let provider: CryptoProvider;
    let alice: town.Account;
    let bakery: town.Account;
    let mallory: town.Account;

    beforeAll(async () => {
      provider = await makeProvider();
      alice = await town.newAccount(provider, 3);
      bakery = await town.newAccount(provider, 2);
      mallory = await town.newAccount(provider);
    });

    const trio = async () => {
      const devices = [town.device(alice), town.device(alice, 2), town.device(bakery)];
      const group = await town.foundGroup(devices, town.contextOf([alice, bakery]));
      return {
        group,
        person: town.seatOf(group, town.device(alice)),
        second: town.seatOf(group, town.device(alice, 2)),
        gateway: town.seatOf(group, town.device(bakery)),
      };
    };

    /** A device whose certificate says what it likes, signed with any key. */
    const impostor = async (
      says: { account: town.Account; key: string; id: number },
      signer: town.Account,
    ): Promise<town.Device> => {
      const made = await town.newDevice(town.device(alice).engine, signer, { id: says.id });
      const { leafKey } = made.identity;
      const certificate = await signLeafCertificate(
        {
          v: 1,
          sub: says.account.accountId,
          key: says.key,
          dev: town.deviceId(says.id),
          leaf: toBase64Url(leafKey.publicKey),
          iat: town.seconds,
          exp: town.seconds + town.daySeconds,
        },
        signer.key,
      );
      return { ...made, accountId: says.account.accountId, identity: { certificate, leafKey } };
    };

    const addOf = async (newcomer: town.Device): Promise<Proposal> => {
      const options = { now: town.now, lifetimeDays: 30 };
      const pair = await generateKeyPackage(provider, newcomer.identity, options);
      return { proposalType: 'add', add: { keyPackage: pair.publicPackage } };
    };

    it('adds a leaf that no account key signed', async () => {
      const { group, person, gateway } = await trio();
      const forged = [
        // certificate names Alice's key, somebody else signed
        [
          await impostor({ account: alice, key: keyOf(alice), id: 3 }, mallory),
          'certificate-invalid',
        ],
        // certificate names and is signed by a key that is not Alice's
        [await impostor({ account: alice, key: keyOf(mallory), id: 3 }, mallory), 'not-authorized'],
      ] as const;
      for (const [ghost, reason] of forged) {
        const byMember = await forgeCommit(group, person, {
          provider,
          proposals: [await addOf(ghost)],
        });
        const refusedMember = await town.tryAdopt(group, gateway, byMember, person);
        expect(refusedMember).toMatchObject({
          outcome: 'refused',
          reason: reason === 'certificate-invalid' ? 'unopenable' : reason,
        });
        const byItself = await forgeExternalCommit(group, ghost, { provider });
        expect(await town.tryAdopt(group, gateway, byItself, ghost)).toMatchObject({
          outcome: 'refused',
          reason,
        });
      }
      await town.expectAgreement(group);
    });

    it('adds a device that is signed but not on the account’s list, or revoked', async () => {
      const { group, person, gateway } = await trio();
      const unlisted = await town.newDevice(person.engine, alice, { id: 7 });
      const commit = await forgeCommit(group, person, {
        provider,
        proposals: [await addOf(unlisted)],
      });
      expect(await town.tryAdopt(group, gateway, commit, person)).toMatchObject({
        policy: 'device-not-listed',
      });
      const external = await forgeExternalCommit(group, unlisted, { provider });
      expect(await town.tryAdopt(group, gateway, external, unlisted)).toMatchObject({
        policy: 'device-not-listed',
      });
      await town.expectAgreement(group);
    });

    it('takes another’s certificate for its own leaf', async () => {
      const { group, gateway } = await trio();
      const { identity } = town.device(mallory);
      const stolen = town.device(alice, 3).identity.certificate;
      const thief: town.Device = {
        ...town.device(alice, 3),
        identity: { certificate: stolen, leafKey: identity.leafKey },
      };
      const external = await forgeExternalCommit(group, thief, { provider });
      expect(await town.tryAdopt(group, gateway, external, thief)).toMatchObject({
        reason: 'certificate-invalid',
      });
      await town.expectAgreement(group);
    });

    it('adds a device of another account', async () => {
      const { group, person, gateway } = await trio();
      const commit = await forgeCommit(group, gateway, {
        provider,
        proposals: [await addOf(town.device(alice, 3))],
      });
      expect(await town.tryAdopt(group, person, commit, gateway)).toMatchObject({
        policy: 'foreign-leaf-added',
      });
      await town.expectAgreement(group);
    });

    it('joins by itself and throws somebody else out', async () => {
      const { group, person, second, gateway } = await trio();
      const { leafIndex } = town.memberOf(gateway, person);
      const newcomer = town.device(bakery, 2);
      const commit = await forgeExternalCommit(group, newcomer, { provider, removes: leafIndex });
      for (const seat of [person, second, gateway]) {
        expect(await town.tryAdopt(group, seat, commit, newcomer)).toMatchObject({
          reason: 'not-authorized',
          policy: 'foreign-leaf-removed',
        });
      }
      await town.expectAgreement(group);
    });

    it('removes somebody else’s leaf as a member', async () => {
      const { group, person, gateway } = await trio();
      const { leafIndex } = town.memberOf(gateway, person);
      const commit = await forgeCommit(group, gateway, {
        provider,
        proposals: [{ proposalType: 'remove', remove: { removed: leafIndex } }],
      });
      expect(await town.tryAdopt(group, person, commit, gateway)).toMatchObject({
        policy: 'foreign-leaf-removed',
      });
      await town.expectAgreement(group);
    });

    it('comes from outside with an account that is no member', async () => {
      const { group, gateway } = await trio();
      const stranger = town.device(mallory);
      const commit = await forgeExternalCommit(group, stranger, { provider });
      expect(await town.tryAdopt(group, gateway, commit, stranger)).toMatchObject({
        policy: 'account-unknown',
      });
      expect(await town.tryJoin(group, stranger)).toMatchObject({ policy: 'account-unknown' });
      await town.expectAgreement(group);
    });

    it('commits what our groups do not use', async () => {
      const { group, person, gateway } = await trio();
      const extensions = [{ extensionType: 0xf5e1, extensionData: new Uint8Array(3) }];
      const version = 'mls10' as const;
      const reinit = { groupId: new Uint8Array(16), version, cipherSuite: provider.suite.name };
      const unused: Proposal[] = [
        { proposalType: 'group_context_extensions', groupContextExtensions: { extensions } },
        { proposalType: 'reinit', reinit: { ...reinit, extensions: [] } },
        { proposalType: 0xf123, proposalData: new Uint8Array(2) },
      ];
      for (const proposal of unused) {
        const commit = await forgeCommit(group, person, { provider, proposals: [proposal] });
        expect(await town.tryAdopt(group, gateway, commit, person)).toMatchObject({
          reason: 'proposal-refused',
        });
      }
      const open = await forgeCommit(group, person, { provider, asPublicMessage: true });
      expect(await town.tryAdopt(group, gateway, open, person)).toMatchObject({
        reason: 'proposal-refused',
      });
      await town.expectAgreement(group);
    });

    it('turns its own leaf into another device or account', async () => {
      const { group, person, gateway } = await trio();
      const { leafKey } = person.identity;
      const says = async (account: town.Account, id: number) => ({
        certificate: await signLeafCertificate(
          {
            v: 1,
            sub: account.accountId,
            key: keyOf(account),
            dev: town.deviceId(id),
            leaf: toBase64Url(leafKey.publicKey),
            iat: town.seconds,
            exp: town.seconds + town.daySeconds,
          },
          account.key,
        ),
      });
      for (const other of [await says(alice, 3), await says(mallory, 1), await says(bakery, 2)]) {
        const state = stateOf(person);
        const ratchetTree = state.ratchetTree.map((node, index) =>
          node?.nodeType === 'leaf' && index === state.privatePath.leafIndex * 2
            ? {
                ...node,
                leaf: {
                  ...node.leaf,
                  credential: {
                    credentialType: 'basic' as const,
                    identity: utf8(other.certificate),
                  },
                },
              }
            : node,
        );
        const commit = await forgeCommit(group, person, {
          provider,
          state: { ...state, ratchetTree },
        });
        expect(await town.tryAdopt(group, gateway, commit, person)).toMatchObject({
          outcome: 'refused',
          reason: 'certificate-invalid',
        });
      }
      await town.expectAgreement(group);
    });

    it('commits garbage that everybody must refuse; the chat goes on', async () => {
      const { group, person, second, gateway } = await trio();
      const state = stateOf(person);
      const keySchedule = { ...state.keySchedule, initSecret: new Uint8Array(32) };
      const commit = await forgeCommit(group, person, {
        provider,
        state: { ...state, keySchedule },
      });
      for (const seat of [second, gateway]) {
        expect(await town.tryAdopt(group, seat, commit, person)).toMatchObject({
          reason: 'unopenable',
        });
      }
      await town.commit(group, gateway);
      await town.expectAgreement(group);
    });

    it('publishes a false GroupInfo', async () => {
      const { group, gateway } = await trio();
      const newcomer = town.device(bakery, 2);
      const state = stateOf(gateway);
      const withInfo = async (changed: typeof state) => {
        const groupInfo = await createGroupInfoWithExternalPubAndRatchetTree(
          changed,
          [],
          provider.suite,
        );
        return writeMessage({ wireformat: 'mls_group_info', groupInfo });
      };
      const tree = state.ratchetTree;
      const lies = [
        // signed by somebody who is not in the tree
        await withInfo({ ...state, signaturePrivateKey: mallory.key.seed }),
        // a tree with a leaf left out
        await withInfo({ ...state, ratchetTree: tree.map((n, at) => (at === 2 ? undefined : n)) }),
        // another epoch's tree hash
        await withInfo({
          ...state,
          groupContext: { ...state.groupContext, treeHash: new Uint8Array(32) },
        }),
        group.groupInfo.map((octet, at) => (at === group.groupInfo.length - 3 ? octet ^ 1 : octet)),
      ];
      for (const groupInfo of lies) {
        const lying = { ...group, groupInfo };
        expect(await town.tryJoin(lying, newcomer)).toMatchObject({ reason: 'unopenable' });
      }
      expect(
        await town.tryJoin({ ...group, groupInfo: new Uint8Array(9) }, newcomer),
      ).toMatchObject({
        reason: 'malformed',
      });
      const elsewhere = { ...group, groupContext: town.newGroupContext() };
      expect(await town.tryJoin(elsewhere, newcomer)).toMatchObject({
        reason: 'wrong-conversation',
      });
      // A member may sign a GroupInfo with a false external key: nobody can follow who joined by
      // it.
      const keySchedule = { ...state.keySchedule, externalSecret: new Uint8Array(32) };
      const trap = { ...group, groupInfo: await withInfo({ ...state, keySchedule }) };
      const joined = town.expectOutcome(await town.tryJoin(trap, newcomer), 'joined');
      expect(await town.tryAdopt(group, gateway, joined, newcomer)).toMatchObject({
        reason: 'unopenable',
      });
      await town.expectAgreement(group);
    });

    it('seals in another member’s name', async () => {
      const { group, person, second, gateway } = await trio();
      const state = stateOf(second);
      const victim = town.memberOf(gateway, person);
      const frankingKey = new Uint8Array(32);
      const content = utf8('I am not who I say');
      const header = town.messageHeader(group.groupContext, {
        commitment: makeCommitment(content, frankingKey),
      });
      const { privateMessage } = await protectApplicationData(
        state.signaturePrivateKey,
        state.keySchedule.senderDataSecret,
        writeSealedFrame({ frankingKey, content }),
        encodeHeader(header),
        state.groupContext,
        state.secretTree,
        victim.leafIndex,
        clientConfig.paddingConfig,
        provider.suite,
      );
      const mls = writeMessage({ wireformat: 'mls_private_message', privateMessage });
      const envelope = { mls, header, epoch: town.infoOf(gateway).epoch, sender: person };
      expect(await town.tryOpen(gateway, envelope)).toMatchObject({ reason: 'unopenable' });
      await town.expectAgreement(group);
    });

    it('sends a commit as a message and a message as a commit', async () => {
      const { group, person, gateway } = await trio();
      const pending = town.expectOutcome(await town.tryCommit(group, person), 'committed');
      const asMessage = { mls: pending.commit, header: pending.header, epoch: 1, sender: person };
      expect(await town.tryOpen(gateway, asMessage)).toMatchObject({ reason: 'malformed' });
      const { mls, header } = await town.seal(group, person, 'a message');
      const asCommit = { commit: mls, header, epoch: 1 };
      expect(await town.tryAdopt(group, gateway, asCommit, person)).toMatchObject({
        reason: 'malformed',
      });
      await town.expectAgreement(group);
    });
  });
}
