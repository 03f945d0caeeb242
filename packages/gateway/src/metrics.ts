// What the gateway counts for Prometheus: numbers and outcomes, never whom or what.

import { Counter, Gauge, Registry } from 'prom-client';

export type Metrics = {
  readonly requests: Counter<'route' | 'status'>;
  readonly webhooks: Counter<'outcome'>;
  readonly text: () => Promise<string>;
  readonly contentType: string;
};

export function createMetrics(read: {
  webhooks: () => Promise<{ waiting: number; dead: number }>;
  connections: () => { open: number; idle: number; waiting: number };
}): Metrics {
  const registry = new Registry();
  const registers = [registry];
  new Gauge({
    name: 'siegel_gateway_webhooks_waiting',
    help: 'Events waiting to be acknowledged',
    registers,
    async collect() {
      this.set((await read.webhooks()).waiting);
    },
  });
  new Gauge({
    name: 'siegel_gateway_webhooks_dead',
    help: 'Events given up after seven days, kept for replay',
    registers,
    async collect() {
      this.set((await read.webhooks()).dead);
    },
  });
  new Gauge({
    name: 'siegel_gateway_database_connections',
    help: 'Connections to the database by state',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, count] of Object.entries(read.connections())) this.set({ state }, count);
    },
  });
  return {
    requests: new Counter({
      name: 'siegel_gateway_requests_total',
      help: 'Requests by route and HTTP status',
      labelNames: ['route', 'status'],
      registers,
    }),
    webhooks: new Counter({
      name: 'siegel_gateway_webhook_attempts_total',
      help: 'Webhook attempts by outcome',
      labelNames: ['outcome'],
      registers,
    }),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
