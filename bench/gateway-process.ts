// A firm's gateway as it is run: enrolled at the relay, a process of its own on an embedded
// PostgreSQL of its own, with one template approved.

import { randomBytes } from 'node:crypto';
import {
  addressUrl,
  connectDatabase,
  ensureDatabase,
  startEmbeddedPostgres,
} from '@siegel/database';
import { NumericId } from '@siegel/protocol/ids';
import { decideTemplate } from '@siegel/protocol/relay';
import { startChild } from './child-process.ts';
import { familyOf } from './cpu-time.ts';
import { registerFirm } from './firm.ts';
import { must } from './must.ts';
import type { Bench } from './record.ts';
import { type RelayProcess, transactionsOf } from './relay-process.ts';

export type GatewayProcess = {
  /** Sends through the Cloud API; resolves with its 200. */
  readonly post: (message: Readonly<Record<string, unknown>>) => Promise<void>;
  /** How many messages of its log stand where: `sent`, `delivered`, `failed (pair-rate)`. */
  readonly statuses: () => Promise<string[]>;
  /** Transactions its database has committed so far, reads too. */
  readonly transactions: () => Promise<number>;
  readonly pids: () => {
    readonly gateway: readonly number[];
    readonly postgres: readonly number[];
  };
};

export const templateName = 'flight_update';
const requestMsMax = 20_000;

/** Ends with the bench. */
export async function startGatewayProcess(
  bench: Bench,
  relay: RelayProcess,
): Promise<GatewayProcess> {
  const { home } = relay;
  const { operator, enrolmentCode, number } = await registerFirm(relay);
  bench.cleanUp(() => operator.close());
  const cluster = await startEmbeddedPostgres({ home, name: 'postgres-gateway' });
  bench.cleanUp(() => cluster.stop());
  const name = 'siegel_gateway';
  const address = await ensureDatabase(cluster, { database: name, role: name });
  const databaseUrl = addressUrl(address);
  const database = connectDatabase(address, { poolMax: 1 });
  bench.cleanUp(() => database.close());
  const token = `EAA${randomBytes(24).toString('hex')}`;
  const gateway = await startChild({
    name: 'gateway',
    program: 'packages/testkit/dist/children/gateway-child.js',
    config: {
      enrolmentCode,
      gateway: {
        databaseUrl,
        relayUrl: relay.url,
        host: '127.0.0.1',
        port: 0,
        appName: 'Nordwind Air',
        tokens: [{ token, label: 'bench' }],
        allowedAddresses: ['loopback'],
        keysHostedBy: 'Nordwind Air GmbH',
        logLevel: 'warn',
      },
    },
    profile: bench.profiling,
  });
  bench.cleanUp(gateway.stop);
  const ask = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const response = await fetch(`${gateway.url}/v25.0${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(requestMsMax),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`the gateway answered ${response.status}: ${text}`);
    const answer: Record<string, unknown> = JSON.parse(text);
    return answer;
  };
  const created = await ask(`/${number.wabaId}/message_templates`, {
    name: templateName,
    language: 'de',
    category: 'UTILITY',
    components: [{ type: 'BODY', text: 'Ihr Flug startet jetzt von einem anderen Flugsteig.' }],
  });
  const templateId = NumericId.parse(String(created['id']));
  must(await operator.call(decideTemplate, { templateId, decision: 'approve' }), 'decided');
  return {
    post: async (message) => {
      await ask(`/${number.phoneNumberId}/messages`, { messaging_product: 'whatsapp', ...message });
    },
    statuses: async () => {
      const { rows } = await database.query<{ line: string }>(
        `SELECT count(*) || ' ' || status || coalesce(' (' || failure || ')', '') AS line
         FROM messages WHERE direction = 'out' GROUP BY status, failure`,
      );
      return rows.map(({ line }) => line);
    },
    transactions: () => transactionsOf(database),
    pids: () => ({ gateway: [gateway.pid], postgres: familyOf(cluster.pid()) }),
  };
}
