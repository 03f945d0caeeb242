// What relay and gateway have written down of a storm, read through their own databases and never changed.
import type { Town } from '@siegel/testkit';
import { Client } from 'pg';

export type MeterRow = {
  readonly clientId: string | null;
  readonly category: string;
  readonly delivered: boolean;
};

export type OutRow = {
  readonly wamid: string;
  readonly clientId: string;
  readonly status: string;
  readonly failure: string | null;
};

export type EventRow = {
  readonly eventId: string;
  readonly state: string;
  readonly attempts: number;
};

async function read<Row extends object>(url: string, sql: string): Promise<Row[]> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    query_timeout: 30_000,
    options: '-c default_transaction_read_only=on',
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}

export type TownBooks = {
  /** all rows of the relay's meter, each with the accepted message it is for */
  meter(): Promise<MeterRow[]>;
  /** how many accepted messages the relay's log calls metered */
  metered(): Promise<number>;
  /** the gateway's own log of what the firm sent */
  sent(): Promise<OutRow[]>;
  events(): Promise<EventRow[]>;
  /** ids of events for which a 2xx is on record */
  acknowledged(): Promise<string[]>;
};

export function townBooks(town: Town, slug: string): TownBooks {
  const { relay } = town.databases();
  const gateway = town.databases().gateway(slug);
  return {
    meter: () =>
      read(
        relay,
        `SELECT l.client_id AS "clientId", m.category, m.delivered_at IS NOT NULL AS delivered
         FROM meter m LEFT JOIN log l USING (bucket, conversation_id, sequence)`,
      ),
    async metered() {
      const sql = 'SELECT count(*)::int AS count FROM log WHERE metered_for IS NOT NULL';
      return (await read<{ count: number }>(relay, sql))[0]!.count;
    },
    sent: () =>
      read(
        gateway,
        `SELECT wamid, client_id AS "clientId", status, failure FROM messages
         WHERE direction = 'out'`,
      ),
    events: () =>
      read(gateway, 'SELECT event_id AS "eventId", state, attempts FROM webhook_events'),
    async acknowledged() {
      const sql = `SELECT event_id AS "eventId" FROM webhook_events WHERE state = 'delivered'`;
      return (await read<{ eventId: string }>(gateway, sql)).map(({ eventId }) => eventId);
    },
  };
}
