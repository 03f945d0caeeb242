// Random histories: devices come, go, heal, write and lose races, and whoever is in the group
// always agrees.

import * as fc from 'fast-check';
import { beforeAll, describe, it } from 'vitest';
import { assert } from '../src/bytes.ts';
import type { CryptoProvider } from '../src/index.ts';
import * as town from './town.ts';

const event = fc.record({
  kind: fc.constantFrom('write', 'refresh', 'add', 'join', 'remove', 'race', 'reload', 'rejoin'),
  who: fc.nat(100),
  whom: fc.nat(100),
});
type Event = typeof event extends fc.Arbitrary<infer Value> ? Value : never;

const pick = <Value>(values: readonly Value[], n: number): Value | undefined =>
  values[n % Math.max(values.length, 1)];

export function historiesSuite(
  name: string,
  makeProvider: () => Promise<CryptoProvider>,
  numRuns: number,
): void {
  describe(`histories (${name})`, () => {
    let accounts: readonly town.Account[];

    beforeAll(async () => {
      const provider = await makeProvider();
      accounts = [await town.newAccount(provider, 5), await town.newAccount(provider, 4)];
    });

    const absent = (group: town.Group): readonly town.Device[] =>
      accounts
        .flatMap(({ devices }) => devices)
        .filter((one) => !group.seats.some((seat) => seat.identity === one.identity));

    const happen = async (group: town.Group, { kind, who, whom }: Event): Promise<void> => {
      const author = pick(group.seats, who);
      assert(author !== undefined, 'somebody is always there');
      const own = group.seats.filter((seat) => seat.accountId === author.accountId);
      const newcomer = pick(absent(group), whom);
      const other = pick(
        own.filter((seat) => seat !== author),
        whom,
      );
      switch (kind) {
        case 'write': {
          const envelope = await town.seal(group, author, `by ${who}`);
          for (const seat of group.seats) if (seat !== author) await town.open(seat, envelope);
          return;
        }
        case 'refresh':
          await town.commit(group, author);
          return;
        case 'add': {
          const sponsor = group.seats.find((seat) => seat.accountId === newcomer?.accountId);
          if (newcomer && sponsor) await town.add(group, sponsor, newcomer);
          return;
        }
        case 'join':
          if (newcomer) await town.join(group, newcomer);
          return;
        case 'rejoin':
          await town.join(group, author);
          return;
        case 'remove': {
          if (other === undefined) return;
          const { leafIndex } = town.memberOf(author, other);
          await town.commit(group, author, { remove: [leafIndex] });
          return;
        }
        case 'race': {
          const rival = pick(
            group.seats.filter((seat) => seat !== author),
            whom,
          );
          if (rival) town.expectOutcome(await town.tryCommit(group, rival), 'committed');
          await town.commit(group, author);
          if (rival) await town.commit(group, rival);
          return;
        }
        case 'reload': {
          const { engine } = author;
          author.session = engine.decodeSession(engine.encodeSession(author.session));
          return;
        }
      }
    };

    it(
      'end with everybody in agreement',
      async () => {
        await fc.assert(
          fc.asyncProperty(fc.array(event, { minLength: 5, maxLength: 20 }), async (events) => {
            const context = town.contextOf(accounts);
            const group = await town.foundGroup(
              accounts.map((account) => town.device(account)),
              context,
            );
            for (const one of events) await happen(group, one);
            await town.expectAgreement(group);
          }),
          { numRuns },
        );
      },
      numRuns * 6_000,
    );
  });
}
