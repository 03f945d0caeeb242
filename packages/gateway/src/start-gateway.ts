// Starts an enrolled gateway: its database, its account at the relay, and everything assemble-gateway.ts puts around them.

import { readFile } from 'node:fs/promises';
import {
  type AccountEvent,
  checkNumberStatement,
  type DeviceContext,
  type Identity,
  openAccount,
  type PinnedOperator,
  readIdentity,
  readOperator,
  refreshBusiness,
} from '@siegel/client';
import { openNodeDevice } from '@siegel/client/node';
import { SiegelError } from '@siegel/protocol/errors';
import type { BusinessProfile } from '@siegel/protocol/relay';
import { pino } from 'pino';
import { assembleGateway, type Gateway, type GatewayParts } from './assemble-gateway.ts';
import type { GatewayConfig } from './config.ts';
import type { Log } from './gateway-context.ts';
import { createRelayAttachments } from './media/relay-attachments.ts';
import { nodeClock } from './node-clock.ts';
import { type HeldAccount, holdAccount } from './store/hold-account.ts';
import { createPostgresStore } from './store/postgres-store.ts';
import { createRelayTemplates } from './templates/relay-templates.ts';

const clock = nodeClock;

const notEnrolled = () =>
  new SiegelError('configuration-invalid', 'this gateway is not enrolled: redeem a code first');

/** Numbers and certificates as they are now; as they were when the relay is away. */
async function refreshed(
  device: DeviceContext,
  identity: Identity,
): Promise<{ identity: Identity; business: BusinessProfile }> {
  let current = identity;
  try {
    current = (await refreshBusiness(device, identity)) ?? identity;
  } catch (error) {
    if (!(error instanceof SiegelError && error.retryable)) throw error;
  }
  const business = current.business ?? identity.business;
  if (business === undefined) throw notEnrolled();
  return { identity: current, business };
}

/** The sender is known by its account; the operator's word says which number that account answered a code on. */
function provenNumberBy(operator: PinnedOperator): NonNullable<GatewayParts['provenNumber']> {
  return async (accountId, statement) => {
    const payload = statement.split('.')[1] ?? '';
    const claims = readClaims(payload);
    if (claims === undefined) return undefined;
    const checked = await checkNumberStatement(operator, statement, {
      accountId,
      accountKey: claims.key,
      nowSeconds: Math.floor(clock.now() / 1000),
    });
    return checked.outcome === 'valid' ? checked.statement.number : undefined;
  };
}

function readClaims(payload: string): { key: string } | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    const key =
      typeof claims === 'object' && claims !== null && 'key' in claims ? claims.key : undefined;
    return typeof key === 'string' ? { key } : undefined;
  } catch {
    return undefined;
  }
}

async function tokensOf({ tokens, tokensFile }: GatewayConfig): Promise<{ tokens?: unknown }> {
  if (tokensFile === undefined) return tokens === undefined ? {} : { tokens };
  try {
    return { tokens: JSON.parse(await readFile(tokensFile, 'utf8')) as unknown };
  } catch {
    // The reader's own words could quote a token.
    throw new SiegelError('configuration-invalid', 'the token file cannot be read');
  }
}

const nameOf = (error: unknown) => ({
  name: error instanceof Error ? error.name : 'unknown',
  ...(error instanceof SiegelError ? { code: error.code } : {}),
});

type Opened = {
  readonly config: GatewayConfig;
  readonly held: HeldAccount;
  readonly log: Log;
  /** the account ended for good */
  readonly onEnd: () => void;
  readonly mayWrite: () => boolean;
};

async function partsOf({ config, held, log, onEnd, mayWrite }: Opened): Promise<GatewayParts> {
  const { database, lease } = held;
  let committed = () => {};
  const store = createPostgresStore({ database, lease, onCommit: () => committed() });
  const known = await readIdentity(store);
  const operator = await readOperator(store);
  if (known === undefined || operator === undefined) throw notEnrolled();
  const device = await openNodeDevice({
    url: config.relayUrl,
    store,
    token: known.deviceToken,
  });
  const { identity, business } = await refreshed(device, known);
  const templates = createRelayTemplates({
    device,
    identity,
    operatorKeys: operator.keys,
    wabaIds: [...new Set(business.numbers.map(({ wabaId }) => wabaId))],
    now: clock.now,
  });
  const onEvent = (event: AccountEvent) => {
    if (event.type !== 'lost' && event.type !== 'ended') return;
    log.error({ event: event.type }, 'the account ended');
    onEnd();
  };
  return {
    config: { ...config, ...(await tokensOf(config)) },
    database,
    business,
    attachments: createRelayAttachments(device),
    templates,
    clock,
    log,
    mayWrite,
    provenNumber: provenNumberBy(operator),
    templateRefusal: templates.refusalOf,
    openAccount(handler, onCommit) {
      committed = onCommit;
      return openAccount({
        ...device,
        ...device.environment,
        store,
        handler,
        onEvent,
        report: (error) => log.warn(nameOf(error), 'tried again later'),
      });
    },
  };
}

async function closeBoth(assembled: Gateway, held: HeldAccount): Promise<void> {
  try {
    await assembled.close();
  } finally {
    await held.close();
  }
}

/** @throws SiegelError `configuration-invalid` when not enrolled, `state-conflict` when another process runs */
export async function startGateway(config: GatewayConfig): Promise<Gateway> {
  const log = pino({ name: 'gateway', level: config.logLevel });
  let gateway: Gateway | undefined;
  let ended = false;
  const onLost = () => {
    log.error({}, 'another gateway took over');
    void gateway?.close().catch((error: unknown) => log.error(nameOf(error), 'closing failed'));
  };
  const held = await holdAccount({ databaseUrl: config.databaseUrl, clock, onLost });
  try {
    const mayWrite = () => !ended && held.mayWrite();
    const onEnd = () => {
      ended = true;
    };
    const assembled = await assembleGateway(await partsOf({ config, held, log, onEnd, mayWrite }));
    let closing: Promise<void> | undefined;
    gateway = {
      ...assembled,
      close() {
        closing ??= closeBoth(assembled, held);
        return closing;
      },
    };
    log.info({ url: gateway.url }, 'serving');
    return gateway;
  } catch (error) {
    await held.close();
    throw error;
  }
}
