// Puts a gateway together around an account: handler, webhooks, HTTP, upkeep. Who opens the account is the caller's matter.

import { randomUUID } from 'node:crypto';
import type { AccountHandler } from '@siegel/client';
import type { Database, Queryable } from '@siegel/database';
import type { BusinessProfile } from '@siegel/protocol/relay';
import type { GatewayConfig } from './config.ts';
import type {
  AppIdentity,
  Attachments,
  BusinessAccount,
  Clock,
  GatewayContext,
  Log,
  Templates,
} from './gateway-context.ts';
import { createServer } from './http/serve.ts';
import { newMediaId } from './media/media-id.ts';
import { sweepMedia } from './media/media-store.ts';
import { createMetrics } from './metrics.ts';
import { type AccountHandlerOptions, createAccountHandler } from './numbers/account-handler.ts';
import { createAddressRules } from './outgoing/address-rules.ts';
import { createOutgoingRequests, type Resolve } from './outgoing/outgoing-requests.ts';
import { readSettings } from './settings.ts';
import { enterTokens } from './tokens.ts';
import { setCallback } from './webhooks/callbacks.ts';
import { completeMedia } from './webhooks/complete-media.ts';
import { startDelivery } from './webhooks/deliver.ts';
import { countEvents, createEventOrder, sweepEvents } from './webhooks/queue.ts';

const dayMs = 24 * 60 * 60 * 1000;
const upkeepMs = 10 * 60 * 1000;
/** Requests under way may take this long to end when the gateway stops. */
const closeGraceMs = 10_000;

export type OpenedAccount = BusinessAccount & { close(): Promise<void> };

export type GatewayParts = {
  readonly config: GatewayConfig;
  readonly database: Database;
  readonly business: BusinessProfile;
  readonly attachments: Attachments;
  readonly templates: Templates;
  readonly clock: Clock;
  readonly log: Log;
  /** `committed` is to be called after every durable commit of the account's store */
  readonly openAccount: (
    handler: AccountHandler<Queryable>,
    committed: () => void,
  ) => Promise<OpenedAccount>;
  readonly provenNumber?: AccountHandlerOptions['provenNumber'];
  readonly templateRefusal?: AccountHandlerOptions['templateRefusal'];
  /** false once another process took over */
  readonly mayWrite: () => boolean;
  readonly resolve?: Resolve;
};

export type Gateway = {
  /** where it listens, without a slash at the end */
  readonly url: string;
  readonly appId: string;
  readonly appSecret: string;
  close(): Promise<void>;
};

async function appOf(parts: GatewayParts): Promise<{ app: AppIdentity; secret: Uint8Array }> {
  const { config, database, clock } = parts;
  const made = await readSettings(database, clock.random);
  const appId = config.appId ?? made.appId;
  const appSecret = config.appSecret ?? made.appSecret;
  if (config.webhook !== undefined) {
    await setCallback(database, { scope: 'app', id: appId }, config.webhook, clock.now());
  }
  if (config.tokens !== undefined) await enterTokens(database, config.tokens, clock.now());
  return { app: { appId, appSecret, appName: config.appName }, secret: made.secret };
}

function startUpkeep({ database, clock, log }: GatewayParts): () => void {
  let cancel = () => {};
  const run = () => {
    const now = clock.now();
    sweepMedia(database, now)
      .then(() => sweepEvents(database, { delivered: now - 7 * dayMs, dead: now - 30 * dayMs }))
      .catch((error: unknown) => log.warn({ name: (error as Error).name }, 'upkeep failed'))
      .finally(() => {
        cancel = clock.schedule(run, upkeepMs);
      });
  };
  cancel = clock.schedule(run, upkeepMs);
  return () => cancel();
}

function urlOf(address: { address: string; port: number } | string | null): string {
  if (address === null || typeof address === 'string') return String(address);
  const { address: host, port } = address;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

type Wake = { run: () => void };

function openAccount(
  parts: GatewayParts,
  app: { appId: string; contactIds: GatewayContext['contactIds'] },
  wake: { wake: Wake; nextOrder: () => number; onDropped: () => void },
): Promise<OpenedAccount> {
  const { business, clock } = parts;
  const handler = createAccountHandler({
    business,
    ...app,
    now: clock.now,
    nextOrder: wake.nextOrder,
    newEventId: randomUUID,
    newMediaId: () => newMediaId(clock.random),
    onDropped: wake.onDropped,
    ...(parts.provenNumber === undefined ? {} : { provenNumber: parts.provenNumber }),
    ...(parts.templateRefusal === undefined ? {} : { templateRefusal: parts.templateRefusal }),
  });
  // The worker starts after the account it serves, so it is reached through this box.
  return parts.openAccount(handler, () => wake.wake.run());
}

export async function assembleGateway(parts: GatewayParts): Promise<Gateway> {
  const { config, database, business, clock, log } = parts;
  const { app, secret } = await appOf(parts);
  const contactIds = { secret, country: business.country };
  const metrics = createMetrics({
    webhooks: () => countEvents(database),
    connections: () => database.counts(),
  });
  const wake: Wake = { run: () => {} };
  const account = await openAccount(
    parts,
    { appId: app.appId, contactIds },
    {
      wake,
      nextOrder: await createEventOrder(database, clock.now),
      onDropped: () => metrics.webhooks.inc({ outcome: 'no-callback' }),
    },
  );
  const outgoing = createOutgoingRequests({
    rules: createAddressRules(config.allowedAddresses),
    ...(parts.resolve === undefined ? {} : { resolve: parts.resolve }),
  });
  let listening = '';
  const context: GatewayContext = {
    ...parts,
    account,
    outgoing,
    app,
    contactIds,
    secret,
    publicUrl: () => config.publicUrl ?? listening,
  };
  const server = await createServer({
    ...{ context, metrics, ready: parts.mayWrite },
    portalFolder: config.portalFolder,
  });
  await server.listen({ host: config.host, port: config.port, backlog: 1024 });
  listening = urlOf(server.server.address());
  const worker = startDelivery({
    ...context,
    ...app,
    now: clock.now,
    random: () => Buffer.from(clock.random(4)).readUInt32BE() / 2 ** 32,
    schedule: clock.schedule,
    complete: (event) => completeMedia(context, event),
    onOutcome: (outcome) => metrics.webhooks.inc({ outcome }),
    onTrouble: (error) => log.warn({ name: (error as Error).name }, 'delivery paused'),
  });
  wake.run = () => worker.wake();
  const stopUpkeep = startUpkeep(parts);
  const close = async () => {
    stopUpkeep();
    // First nobody can ask any more, then nothing new arrives, then what is under way ends.
    const cut = clock.schedule(() => server.server.closeAllConnections(), closeGraceMs);
    await server.close();
    cut();
    await account.close();
    await worker.close();
    await outgoing.close();
  };
  return { url: listening, appId: app.appId, appSecret: app.appSecret, close };
}
