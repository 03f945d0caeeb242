// What the relay counts, for `/metrics` in the Prometheus text format. No label holds an id, an address or a number (rule H2).

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
    requests: new Counter({
      name: 'siegel_relay_requests_total',
      help: 'Answered requests by endpoint and outcome.',
      labelNames: ['endpoint', 'outcome'],
      registers,
    }),
    requestSeconds: new Histogram({
      name: 'siegel_relay_request_seconds',
      help: 'Time from a request’s headers to its answer.',
      labelNames: ['endpoint'],
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    }),
    sockets: new Gauge({
      name: 'siegel_relay_sockets',
      help: 'Open sockets.',
      registers,
    }),
    textsSent: new Counter({
      name: 'siegel_relay_sms_total',
      help: 'SMS by result.',
      labelNames: ['result'],
      registers,
    }),
    blobBytes: new Counter({
      name: 'siegel_relay_blob_bytes_total',
      help: 'Octets of sealed blobs by direction.',
      labelNames: ['direction'],
      registers,
    }),
  };
}

/** Process-wide numbers (memory, event loop); once per process, not per relay under test. */
export const countProcess = (metrics: Metrics): void =>
  collectDefaultMetrics({ register: metrics.registry });
