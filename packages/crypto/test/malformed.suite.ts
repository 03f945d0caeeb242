// Octets that are nothing, or almost something, at every door of the engine.

import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { assert, toBase64Url } from '../src/bytes.ts';
import { type CryptoProvider, inspectKeyPackage } from '../src/index.ts';
import * as town from './town.ts';

export function malformedSuite(name: string, makeProvider: () => Promise<CryptoProvider>): void {
  describe(`malformed octets (${name})`, () => {
    let provider: CryptoProvider;

    beforeAll(async () => {
      provider = await makeProvider();
    });

    it('are refused, never thrown, and harm nothing', async () => {
      const [alice, bakery] = [await town.newAccount(provider), await town.newAccount(provider, 2)];
      const devices = [town.device(alice), town.device(bakery)];
      const group = await town.foundGroup(devices, town.contextOf([alice, bakery]));
      const [person, gateway] = devices.map((one) => town.seatOf(group, one));
      assert(person !== undefined && gateway !== undefined, 'two seats');
      const keyPackage = await town.keyPackageOf(town.device(bakery, 2));
      const added = town.expectOutcome(
        await town.tryCommit(group, gateway, { add: [keyPackage.publicBytes] }),
        'committed',
      );
      assert(added.welcome !== undefined, 'a Welcome');
      const sealed = await town.seal(group, person, 'a good message');
      const { groupContext } = group;
      const { engine } = gateway;
      const authorize = town.allowAll;
      const targets: ReadonlyArray<readonly [Uint8Array, (bytes: Uint8Array) => Promise<string>]> =
        [
          [sealed.mls, async (mls) => (await town.tryOpen(gateway, { ...sealed, mls })).outcome],
          [
            added.commit,
            async (commit) =>
              (await town.tryAdopt(group, person, { ...added, commit }, gateway)).outcome,
          ],
          [
            added.welcome,
            async (welcome) => {
              const { privateBytes } = keyPackage;
              const request = { groupContext, welcome, keyPackage: privateBytes, authorize };
              return (await engine.joinByWelcome(request)).outcome;
            },
          ],
          [
            group.groupInfo,
            async (groupInfo) => {
              return (await town.tryJoin({ ...group, groupInfo }, town.device(bakery, 2))).outcome;
            },
          ],
          [
            keyPackage.publicBytes,
            async (bytes) => {
              const { outcome } = await inspectKeyPackage(bytes, { now: town.now });
              return outcome === 'valid' ? 'valid' : 'refused';
            },
          ],
        ];
      const change = fc.record({
        target: fc.nat(targets.length - 1),
        at: fc.double({ min: 0, max: 1, noNaN: true }),
        octets: fc.uint8Array({ minLength: 1, maxLength: 6 }),
        how: fc.constantFrom('replace', 'insert', 'cut', 'random'),
      });
      await fc.assert(
        fc.asyncProperty(change, async ({ target, at, octets, how }) => {
          const found = targets[target];
          assert(found !== undefined, 'a target');
          const [good, send] = found;
          const place = Math.floor(at * (good.length - 1));
          const end = how === 'replace' ? place + octets.length : place;
          const tail = how === 'cut' ? new Uint8Array() : good.subarray(end);
          const bytes =
            how === 'random'
              ? octets
              : Uint8Array.of(
                  ...good.subarray(0, place),
                  ...(how === 'cut' ? [] : octets),
                  ...tail,
                );
          fc.pre(toBase64Url(bytes) !== toBase64Url(good));
          expect(await send(bytes)).toBe('refused');
        }),
        { numRuns: 400 },
      );
      await town.expectAgreement(group);
    });
  });
}
