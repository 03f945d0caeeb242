// The real relay on a database of its own, run as a town, for the tests of account life.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { testDatabase } from '@siegel/database/testing';
import { PhoneNumber } from '@siegel/protocol/ids';
import { registerBusiness } from '@siegel/protocol/relay';
import { startRelay } from '@siegel/relay';
import { nodeNetwork } from '../src/connection/node-network.ts';
import { nodeEnvironment } from '../src/node.ts';
import { createRelayConnection, type RelayConnection } from '../src/relay-connection.ts';

const migrations = fileURLToPath(new URL('../../relay/migrations', import.meta.url));

export type RealRelay = {
  readonly url: string;
  /** the clock of relay and devices alike */
  now: number;
  /** The newest code that was sent to this number. */
  code(number: string): string;
  /** Of operator staff. */
  readonly operator: RelayConnection;
  enrolmentCode(): Promise<string>;
  close(): Promise<void>;
};

export async function startRealRelay(): Promise<RealRelay> {
  const database = await testDatabase({ migrations });
  const folder = await mkdtemp(join(tmpdir(), 'siegel-client-'));
  const operatorToken = randomBytes(32).toString('base64url');
  const sent = new Map<string, string>();
  const world = { now: Date.now() };
  const relay = await startRelay(
    {
      port: 0,
      town: true,
      operatorToken,
      keysFile: join(folder, 'keys.json'),
      blobFolder: join(folder, 'blobs'),
      issuer: 'relay.test',
      logLevel: 'silent',
    },
    {
      database: database.database,
      now: () => world.now,
      sms: {
        send: async ({ to, text }) => {
          sent.set(to, /\b[0-9]{6}\b/.exec(text)?.[0] ?? '');
        },
      },
    },
  );
  const operator = createRelayConnection({
    ...nodeEnvironment,
    ...nodeNetwork,
    url: relay.url,
    token: operatorToken,
  });
  return {
    url: relay.url,
    get now() {
      return world.now;
    },
    set now(to) {
      world.now = to;
    },
    code: (number) => sent.get(number) ?? '',
    operator,
    async enrolmentCode() {
      const registered = await operator.call(registerBusiness, {
        legalName: 'Bäckerei Morgen GmbH',
        country: 'DE',
        evidence: 'register-extract',
        level: 'badge',
        numbers: [{ number: PhoneNumber.parse('+4930100100'), displayName: 'Bäckerei Morgen' }],
      });
      if (registered.outcome !== 'registered') throw new Error(registered.outcome);
      return registered.enrolmentCode;
    },
    async close() {
      await operator.close();
      await relay.close();
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
