// The operator's power over its own database, and what a device of a story keeps: for attacks that nobody's interface offers.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Store } from '@siegel/client';
import type { Engine, Session } from '@siegel/crypto';
import type { ConversationId } from '@siegel/protocol/ids';
import type { DeliveredMessage, EnvelopeHeader } from '@siegel/protocol/relay';
import type { Town, TownBusiness } from '@siegel/testkit';
import { Client, type QueryResultRow } from 'pg';

export type OperatorHands = {
  query<Row extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Port and folder of the socket are lines 4 and 5 of PostgreSQL's pid file. */
function socketOf(town: Town, cluster: 'relay' | 'gateways'): { host: string; port: number } {
  const path = join(town.home, `postgres-${cluster}`, 'data', 'postmaster.pid');
  const lines = readFileSync(path, 'utf8').split('\n');
  return { host: lines[4]!.trim(), port: Number(lines[3]) };
}

export async function operatorHands(town: Town): Promise<OperatorHands> {
  const client = new Client({
    ...socketOf(town, 'relay'),
    user: 'siegel_relay',
    database: 'siegel_relay',
    connectionTimeoutMillis: 10_000,
    query_timeout: 10_000,
  });
  await client.connect();
  return {
    query: async (text, values = []) => (await client.query(text, [...values])).rows as never,
    [Symbol.asyncDispose]: () => client.end(),
  };
}

/** What a gateway of the airline is started with to stand in for the town's own. */
export function gatewayConfig(town: Town, firm: TownBusiness, relayUrl: string) {
  const { host, port } = socketOf(town, 'gateways');
  const name = 'siegel_gateway_nordwind_air';
  return {
    databaseUrl: `postgres://${name}@/${name}?host=${encodeURIComponent(host)}&port=${port}`,
    relayUrl,
    host: '127.0.0.1',
    port: Number(new URL(firm.cloudApi).port),
    publicUrl: firm.cloudApi,
    appId: firm.appId,
    appSecret: firm.appSecret,
    appName: firm.name,
    tokens: [{ token: firm.accessToken, label: 'town' }],
    allowedAddresses: ['loopback'],
    keysHostedBy: 'Nordwind Air GmbH',
    logLevel: 'silent',
  };
}

/** The newest session a device keeps of a conversation, as its store holds it. */
export async function sessionOf(
  engine: Engine,
  store: Store<undefined>,
  conversationId: ConversationId,
): Promise<Session> {
  const [newest] = await store.list('session', {
    prefix: `${conversationId}/`,
    limit: 1,
    reverse: true,
  });
  if (newest === undefined) throw new Error('no session is kept');
  return engine.decodeSession(newest.value);
}

export type Captured = Pick<
  DeliveredMessage,
  'conversationId' | 'generation' | 'epoch' | 'class' | 'kind' | 'clientId' | 'commitment' | 'mls'
> &
  Partial<Pick<DeliveredMessage, 'template'>>;

/** As the device would open it: the ciphertext with the header it travelled under. */
export const headerOf = (item: Captured): EnvelopeHeader => ({
  conversationId: item.conversationId,
  generation: item.generation,
  class: item.class,
  kind: item.kind,
  clientId: item.clientId,
  commitment: item.commitment,
  ...(item.template === undefined ? {} : { template: item.template }),
});
