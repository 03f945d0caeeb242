// Redeems the operator's one-time code: the business key is made here and kept in the gateway's own database (design §1).

import { enrolBusiness, readIdentity } from '@siegel/client';
import { openNodeDevice } from '@siegel/client/node';
import { SiegelError } from '@siegel/protocol/errors';
import type { BusinessProfile } from '@siegel/protocol/relay';
import type { GatewayConfig } from './config.ts';
import { nodeClock } from './node-clock.ts';
import { readSettings } from './settings.ts';
import { holdAccount } from './store/hold-account.ts';
import { createPostgresStore } from './store/postgres-store.ts';

export type EnrolledGateway = {
  readonly business: BusinessProfile;
  readonly appId: string;
  readonly appSecret: string;
};

/** What the operator's answer means for whoever typed the code. */
const refusals: Readonly<Record<string, string>> = {
  'code-malformed': 'this is not an enrolment code',
  'code-over': 'this enrolment code was used, has ended or was never given out',
  'operator-unknown': 'the relay is not the operator this gateway expects',
  'list-refused': 'the relay refused the device list',
  'rate-limited': 'too many tries; wait a moment',
};

/** An enrolled gateway answers what it is and redeems nothing. @throws SiegelError `configuration-invalid` */
export async function enrolGateway(config: GatewayConfig, code: string): Promise<EnrolledGateway> {
  const clock = nodeClock;
  const { databaseUrl, relayUrl, keysHostedBy, operatorKeys } = config;
  const held = await holdAccount({ databaseUrl, clock, onLost: () => {} });
  try {
    const { database, lease } = held;
    const store = createPostgresStore({ database, lease });
    const settings = await readSettings(database, clock.random);
    const appId = config.appId ?? settings.appId;
    const appSecret = config.appSecret ?? settings.appSecret;
    const known = await readIdentity(store);
    if (known?.business !== undefined) return { business: known.business, appId, appSecret };
    const device = await openNodeDevice({ url: relayUrl, store });
    try {
      const enrolled = await enrolBusiness(device, {
        code,
        role: 'gateway',
        keysHostedBy,
        ...(operatorKeys === undefined ? {} : { operatorKeys }),
      });
      const business = enrolled.outcome === 'enrolled' ? enrolled.identity.business : undefined;
      if (business === undefined) {
        throw new SiegelError(
          'configuration-invalid',
          refusals[enrolled.outcome] ?? enrolled.outcome,
        );
      }
      return { business, appId, appSecret };
    } finally {
      await device.connection.close();
    }
  } finally {
    await held.close();
  }
}
