// What a sealed message promises: who wrote it, that nobody changed it, that it opens once, and
// that old keys go.

import { NumericId } from '@siegel/protocol/ids';
import { type EnvelopeHeader, encodeHeader } from '@siegel/protocol/relay';
import { createApplicationMessage } from 'ts-mls';
import { ratchetUntil } from 'ts-mls/secretTree.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { assert, fromBase64Url, toBase64Url } from '../src/bytes.ts';
import { type CryptoProvider, verifyCommitment } from '../src/index.ts';
import { activeSession } from '../src/mls/session.ts';
import { parseMessage, writeMessage } from '../src/mls/wire.ts';
import { writeSealedFrame } from '../src/sealed-frame.ts';
import { stateOf } from './malice.ts';
import * as town from './town.ts';

const ratchetOf = (seat: town.Seat) => {
  const { privatePath, secretTree } = stateOf(seat);
  const node = secretTree[privatePath.leafIndex * 2];
  assert(node !== undefined, 'a leaf has ratchets');
  return node.application;
};

export function messagesSuite(name: string, makeProvider: () => Promise<CryptoProvider>): void {
  describe(`sealed messages (${name})`, () => {
    let provider: CryptoProvider;
    let alice: town.Account;
    let bakery: town.Account;
    let group: town.Group;
    let person: town.Seat;
    let gateway: town.Seat;

    beforeAll(async () => {
      provider = await makeProvider();
      alice = await town.newAccount(provider, 2);
      bakery = await town.newAccount(provider);
    });

    const freshGroup = async () => {
      const devices = [town.device(alice), town.device(bakery)];
      group = await town.foundGroup(devices, town.contextOf([alice, bakery]));
      person = town.seatOf(group, town.device(alice));
      gateway = town.seatOf(group, town.device(bakery));
    };

    it('go both ways, with the content’s commitment in the header', async () => {
      await freshGroup();
      const envelope = await town.seal(group, person, 'Guten Tag');
      const opened = town.expectOutcome(await town.tryOpen(gateway, envelope), 'opened');
      expect(opened).toMatchObject({ epoch: 1, certificateExpired: false });
      expect(opened.sender.certificate).toBe(person.identity.certificate);
      const { content, frankingKey } = opened;
      expect(verifyCommitment(content, frankingKey, envelope.header.commitment ?? '')).toBe(true);
      gateway.session = opened.session;
      expect(await town.open(person, await town.seal(group, gateway, 'Grüß Gott'))).toBe(
        'Grüß Gott',
      );
    });

    it('show nothing of their length but its Padmé size', async () => {
      await freshGroup();
      const lengths = await Promise.all(
        ['', 'a', 'a'.repeat(400)].map(async (words) => {
          const sealed = town.expectOutcome(await town.trySeal(group, person, words), 'sealed');
          return sealed.mls.length;
        }),
      );
      expect(new Set(lengths).size).toBe(1);
      const long = town.expectOutcome(await town.trySeal(group, person, 'a'.repeat(600)), 'sealed');
      expect(long.mls.length).toBeGreaterThan(lengths[0] ?? 0);
    });

    it('are refused when any field of the header is another', async () => {
      await freshGroup();
      const header: Partial<EnvelopeHeader> = {
        kind: 'template',
        template: { id: NumericId.parse('77'), category: 'utility' },
      };
      const envelope = await town.seal(group, gateway, 'Ihr Paket', header);
      const changes: Partial<EnvelopeHeader>[] = [
        { clientId: town.newClientId() },
        { commitment: toBase64Url(new Uint8Array(32)) },
        { template: { id: NumericId.parse('78'), category: 'utility' } },
        { template: { id: NumericId.parse('77'), category: 'marketing' } },
        { kind: 'free-form' },
        { class: 'control' },
        { class: 'control', kind: 'receipt' },
      ];
      for (const change of changes) {
        const tampered = { ...envelope, header: { ...envelope.header, ...change } };
        const outcome = await town.tryOpen(person, tampered);
        expect(outcome, JSON.stringify(change)).toMatchObject({ reason: 'header-mismatch' });
      }
      const { template: _, ...withoutTemplate } = envelope.header;
      const bare = { ...envelope, header: { ...withoutTemplate, kind: 'free-form' as const } };
      expect(await town.tryOpen(person, bare)).toMatchObject({ reason: 'header-mismatch' });
      for (const change of [{ conversationId: town.newConversationId() }, { generation: 1 }]) {
        const moved = { ...envelope, header: { ...envelope.header, ...change } };
        expect(await town.tryOpen(person, moved)).toMatchObject({ reason: 'wrong-conversation' });
      }
      expect(await town.tryOpen(person, { ...envelope, epoch: 2 })).toMatchObject({
        reason: 'header-mismatch',
      });
      expect(await town.open(person, envelope)).toBe('Ihr Paket');
    });

    it('are refused when the sealed content does not match the commitment', async () => {
      await freshGroup();
      const state = stateOf(person);
      const header = town.messageHeader(group.groupContext, {
        commitment: toBase64Url(new Uint8Array(32).fill(7)),
      });
      const frame = writeSealedFrame({
        frankingKey: new Uint8Array(32),
        content: fromBase64Url('AAAA'),
      });
      const made = await createApplicationMessage(
        state,
        frame,
        provider.suite,
        encodeHeader(header),
      );
      const mls = writeMessage({
        wireformat: 'mls_private_message',
        privateMessage: made.privateMessage,
      });
      const envelope = { mls, header, epoch: 1, sender: person };
      expect(await town.tryOpen(gateway, envelope)).toMatchObject({
        reason: 'commitment-mismatch',
      });
    });

    it('of one member never appear as another’s', async () => {
      await freshGroup();
      const second = await town.join(group, town.device(alice, 2));
      const envelope = await town.seal(group, second, 'I am the second');
      for (const claimed of [person, gateway]) {
        const outcome = await town.tryOpen(gateway, { ...envelope, sender: claimed });
        expect(outcome).toMatchObject({ outcome: 'refused', reason: 'sender-mismatch' });
      }
      expect(await town.open(gateway, envelope)).toBe('I am the second');
    });

    it('open once: a replay, a duplicate and a late one are refused', async () => {
      await freshGroup();
      const [first, second, third] = [
        await town.seal(group, person, 'one'),
        await town.seal(group, person, 'two'),
        await town.seal(group, person, 'three'),
      ];
      expect(await town.open(gateway, first)).toBe('one');
      expect(await town.tryOpen(gateway, first)).toMatchObject({ reason: 'replayed' });
      expect(await town.open(gateway, third), 'a lost one does not stop the rest').toBe('three');
      expect(await town.tryOpen(gateway, second)).toMatchObject({ reason: 'replayed' });
    });

    it('keep no key of a skipped message (forward secrecy)', async () => {
      await freshGroup();
      for (const words of ['one', 'two']) await town.seal(group, person, words);
      await town.open(gateway, await town.seal(group, person, 'three'));
      const ratchets = stateOf(gateway).secretTree.map((node) => node.application);
      expect(ratchets.map(({ unusedGenerations }) => unusedGenerations)).toEqual(
        ratchets.map(() => ({})),
      );
      expect(ratchets.some(({ generation }) => generation === 3)).toBe(true);
    });

    it('of a sender 2000 messages ahead still open, further ones are refused by name', async () => {
      await freshGroup();
      const skip = async (generations: number) => {
        const state = stateOf(person);
        const own = state.privatePath.leafIndex * 2;
        const config = { retainKeysForGenerations: 0, retainKeysForEpochs: 4 };
        const [application] = await ratchetUntil(
          ratchetOf(person),
          generations,
          { ...config, maximumForwardRatchetSteps: 10_000 },
          provider.suite.kdf,
        );
        const secretTree = state.secretTree.map((node, index) =>
          index === own ? { ...node, application } : node,
        );
        return activeSession(group.groupContext, { ...state, secretTree });
      };
      const before = person.session;
      person.session = await skip(2001);
      const tooFar = await town.seal(group, person, 'too far');
      expect(await town.tryOpen(gateway, tooFar)).toMatchObject({ reason: 'too-far-ahead' });
      person.session = before;
      person.session = await skip(2000);
      expect(await town.open(gateway, await town.seal(group, person, 'far'))).toBe('far');
    });

    it('of three epochs back open with that epoch’s members; older keys are gone', async () => {
      await freshGroup();
      const old = await town.seal(group, person, 'from epoch 1');
      const laterOld = await town.seal(group, person, 'also from epoch 1');
      for (let epoch = 2; epoch <= 4; epoch += 1) await town.commit(group, gateway);
      expect(await town.open(gateway, old)).toBe('from epoch 1');
      for (let epoch = 5; epoch <= 6; epoch += 1) await town.commit(group, gateway);
      expect(await town.tryOpen(gateway, laterOld)).toMatchObject({ reason: 'epoch-unknown' });
    });

    it('of a coming epoch are told apart, so that they can wait for their commit', async () => {
      await freshGroup();
      const pending = town.expectOutcome(await town.tryCommit(group, person), 'committed');
      const ahead = { ...person, session: pending.session };
      const envelope = await town.seal(group, ahead, 'from epoch 2');
      expect(await town.tryOpen(gateway, envelope)).toMatchObject({ reason: 'epoch-ahead' });
      await town.settle(group, person, pending);
      expect(await town.open(gateway, envelope)).toBe('from epoch 2');
    });

    it('of a device removed since are refused, though the keys are kept', async () => {
      await freshGroup();
      const second = await town.join(group, town.device(alice, 2));
      const envelope = await town.seal(group, second, 'not seen in time');
      const { leafIndex } = town.memberOf(person, second);
      await town.commit(group, person, { remove: [leafIndex] });
      expect(await town.tryOpen(gateway, envelope)).toMatchObject({ reason: 'sender-removed' });
    });

    it('are refused when an octet differs, and the session goes on', async () => {
      await freshGroup();
      const envelope = await town.seal(group, person, 'unharmed');
      for (const at of [0, 3, 5, 30, envelope.mls.length >> 1, envelope.mls.length - 1]) {
        const mls = envelope.mls.map((octet, index) => (index === at ? octet ^ 1 : octet));
        expect(await town.tryOpen(gateway, { ...envelope, mls })).toMatchObject({
          outcome: 'refused',
        });
      }
      const longer = { ...envelope, mls: Uint8Array.of(...envelope.mls, 0) };
      expect(await town.tryOpen(gateway, longer)).toMatchObject({ reason: 'malformed' });
      expect(await town.open(gateway, envelope)).toBe('unharmed');
    });

    it('of another group under the same header are refused', async () => {
      await freshGroup();
      const other = await town.foundGroup(
        [town.device(alice), town.device(bakery)],
        town.contextOf([alice, bakery]),
      );
      const sender = town.seatOf(other, town.device(alice));
      const sealed = await town.seal(other, sender, 'elsewhere');
      const moved = { ...sealed, header: { ...sealed.header, ...group.groupContext } };
      expect(await town.tryOpen(gateway, moved)).toMatchObject({ reason: 'malformed' });
      expect(parseMessage(sealed.mls)).toBeDefined();
    });

    it('are not sealed under an expired certificate or a contradictory header', async () => {
      await freshGroup();
      const late = { header: town.messageHeader(group.groupContext), content: new Uint8Array() };
      const expired = (town.seconds + 91 * town.daySeconds) * 1000;
      expect(await person.engine.seal(person.session, { ...late, now: expired })).toMatchObject({
        reason: 'certificate-expired',
      });
      for (const change of [
        { kind: 'commit' as const, class: 'control' as const },
        { kind: 'template' as const },
        { class: 'control' as const },
      ]) {
        expect(await town.trySeal(group, person, 'x', change)).toMatchObject({
          reason: 'header-inconsistent',
        });
      }
      expect(await town.trySeal(group, person, 'x', { generation: 3 })).toMatchObject({
        reason: 'wrong-conversation',
      });
    });

    it('of a sender whose certificate has expired open, without the badge', async () => {
      await freshGroup();
      const envelope = await town.seal(group, person, 'still counts');
      const later = (town.seconds + 91 * town.daySeconds) * 1000;
      const opened = await gateway.engine.open(gateway.session, { ...envelope, now: later });
      expect(opened).toMatchObject({ outcome: 'opened', certificateExpired: true });
    });
  });
}
