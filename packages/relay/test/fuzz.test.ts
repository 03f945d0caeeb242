// Whatever comes over the wire, the relay answers with a name and lives on (H1): every endpoint of the contract is given
// malformed bodies, wrong types, huge ones, wrong tokens and other people's ids.

import { type Endpoint, relayEndpoints } from '@siegel/protocol/relay';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enrolBusiness, randomText, registerPerson } from './person.ts';
import {
  expectContract,
  openSocket,
  type RelayTest,
  requestFor,
  startTestRelay,
} from './relay-world.ts';

const runs = process.env['SLOW'] ? 1000 : 40;

let town: RelayTest;
let tokens: readonly string[];
let known: readonly string[];
beforeAll(async () => {
  town = await startTestRelay({ rateFactor: 1_000_000 });
  const [alice, bob] = [await registerPerson(town), await registerPerson(town)];
  const bakery = await enrolBusiness(town);
  tokens = [alice.token, bob.token, bakery.token, town.operatorToken, randomText(32), ''];
  known = [
    ...[alice.accountId, bob.accountId, bakery.accountId, alice.number, bakery.number],
    ...[bakery.phoneNumberId, bakery.wabaId, alice.signedList, bakery.certificates[0] ?? ''],
    ...['00000000-0000-4000-8000-000000000001', randomText(16), randomText(32), 'ABCDEFGH'],
    ...['AAAA-BBBB-CCCC-DDDD-EEEE-2222', '123456', 'own', 'approve', 'founding', 'message'],
  ];
});
afterAll(() => town.close());

const arbitraryValue = () =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...known) },
    { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }) },
    { weight: 1, arbitrary: fc.constantFrom(-1, 2 ** 53, 1e308, 0, 32_768, 1.5) },
    { weight: 1, arbitrary: fc.constantFrom('', ' ', '\u0000', '\u202e', '💥', '%00', '../..') },
  );

/** Mostly the endpoint's own fields, some of them missing, some strange, now and then one too many. */
const requestOf = (endpoint: Endpoint) => {
  const names = Object.keys(endpoint.request.def.shape);
  const fields = Object.fromEntries(names.map((name) => [name, fieldOf(name)]));
  return fc
    .tuple(
      fc.record(fields, {
        requiredKeys: names.filter((name) => endpoint.path.includes(`:${name}`)),
      }),
      fc.option(fc.dictionary(fc.string({ maxLength: 20 }), fc.jsonValue(), { maxKeys: 2 }), {
        freq: 4,
        nil: {},
      }),
    )
    .map(([own, extra]) => ({ ...extra, ...own }));
};

/** Deeper shapes, so that some requests reach the rules. */
function fieldOf(name: string): fc.Arbitrary<unknown> {
  const id = fc.constantFrom(...known);
  const shapes: Record<string, fc.Arbitrary<unknown>> = {
    with: fc.oneof(
      fc.constant({ kind: 'own' }),
      fc.record({ kind: fc.constant('direct'), accountId: id }),
      fc.record({ kind: fc.constant('business'), phoneNumberId: id }),
      fc.record({ kind: fc.constant('group'), accounts: fc.array(id, { maxLength: 3 }) }),
      fc.record({ kind: fc.constant('person'), from: id, to: fc.record({ number: id }) }),
    ),
    purpose: fc.oneof(
      fc.record({ kind: fc.constant('own-devices') }),
      fc.record({ kind: fc.constant('next-generation'), generation: fc.nat(3) }),
      fc.record({ kind: fc.constant('add-accounts'), accounts: fc.array(id, { maxLength: 3 }) }),
    ),
    generation: fc.nat(3),
    epoch: fc.nat(3),
    bytes: fc.integer({ min: -1, max: 200_000_000 }),
    number: fc.constantFrom('+4930123456', '+12025550123', '+999', known[3]),
    limit: fc.constantFrom(1, 100, 101, 0, -1, 'x'),
    keyPackages: fc.array(id, { maxLength: 3 }),
    added: fc.array(fc.record({ leafIndex: fc.nat(9), accountId: id, deviceId: fc.nat(9) })),
    removed: fc.array(fc.record({ leafIndex: fc.nat(9), accountId: id, deviceId: fc.nat(9) })),
  };
  const shaped = shapes[name];
  return shaped === undefined
    ? arbitraryValue()
    : fc.oneof({ weight: 3, arbitrary: shaped }, { weight: 1, arbitrary: arbitraryValue() });
}

async function expectNamed(endpoint: Endpoint, response: Response): Promise<void> {
  expect(response.status).toBeLessThan(500);
  const text = await response.text();
  const body = JSON.parse(text) as { outcome?: string; error?: { code: string } };
  if (body.outcome !== undefined) {
    expectContract(endpoint, response.status, body as { outcome: string });
  } else {
    expect(body.error?.code).toMatch(/^[a-z-]+$/);
  }
}

async function sendTo(endpoint: Endpoint, request: Record<string, unknown>, token: string) {
  const { path, init } = requestFor(endpoint, request);
  const headers = new Headers(init.headers);
  if (token !== '') headers.set('authorization', `Bearer ${token}`);
  return town.send(path, { ...init, headers });
}

const byName = relayEndpoints.map((endpoint) => [endpoint.name, endpoint] as const);

describe('nonsense', () => {
  it.each(byName)(
    'H1 %s answers nonsense with a name',
    { timeout: 120_000 },
    async (_, endpoint) => {
      // Two of the operator's decisions would change what the others find; nonsense ids keep them harmless.
      await fc.assert(
        fc.asyncProperty(requestOf(endpoint), fc.nat(tokens.length - 1), async (request, which) => {
          await expectNamed(endpoint, await sendTo(endpoint, request, tokens[which] ?? ''));
        }),
        { numRuns: runs, timeout: 20_000 },
      );
    },
  );

  it.each(byName)('H1 %s answers a body that is no JSON with a name', async (_, endpoint) => {
    const bodies = ['', '{', '\u0000', '[[[[', '{"a":', '{"__proto__":1}', '9'.repeat(10_000)];
    const path = endpoint.path.replaceAll(/:(\w+)/g, 'x');
    for (const body of bodies) {
      for (const token of [tokens[0] ?? '', '']) {
        const hasBody = endpoint.method !== 'GET';
        const response = await town.send(path, {
          method: endpoint.method,
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          ...(hasBody ? { body } : {}),
        });
        await expectNamed(endpoint, response);
      }
    }
  });

  it('H1 M6 frames that make no sense end their socket and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(fc.string({ unit: 'binary' }), fc.json(), fc.constant('x'.repeat(70_000))),
          {
            minLength: 1,
            maxLength: 3,
          },
        ),
        async (frames) => {
          const socket = await openSocket(town.relay.url);
          for (const frame of frames) socket.send(frame);
          socket.close();
          await socket.closed;
        },
      ),
      { numRuns: runs },
    );
    expect((await town.send('/ready')).status).toBe(200);
  });

  it('H1 after all this the relay has logged no failure of its own', async () => {
    expect(town.log()).not.toContain('request failed');
    expect((await town.send('/health')).status).toBe(200);
  });
});
