// Under which origins our own web apps are reached, and where a page finds the relay: it may have been opened by any of
// the names of this machine.

import type { FastifyRequest } from 'fastify';
import { isLoopback, type RelayConfig } from '../config.ts';

export type WebOrigins = {
  /** A page of this port may call the relay from now on. */
  readonly add: (port: number) => void;
  readonly includes: (origin: string) => boolean;
};

const loopbackNames = ['127.0.0.1', 'localhost', '[::1]'];

const schemeOf = (config: RelayConfig) => (config.tls === undefined ? 'http' : 'https');

const bracketed = (host: string) => (host.includes(':') ? `[${host}]` : host);

export function createWebOrigins(config: RelayConfig): WebOrigins {
  const origins = new Set(config.webOrigins);
  return {
    add: (port) => {
      const names = isLoopback(config.host) ? loopbackNames : [bracketed(config.host)];
      for (const name of names) origins.add(`${schemeOf(config)}://${name}:${port}`);
    },
    includes: (origin) => origins.has(origin),
  };
}

/** The relay's address on this machine. */
export const localUrl = (config: RelayConfig, port: number, name?: string): string => {
  const isAny = config.host === '0.0.0.0' || config.host === '::';
  const host = name ?? (isLoopback(config.host) || isAny ? '127.0.0.1' : config.host);
  return `${schemeOf(config)}://${bracketed(host)}:${port}`;
};

/** As seen by the browser that asked. */
export function relayUrlFor(config: RelayConfig, port: number, request: FastifyRequest): string {
  if (config.publicUrl !== undefined) return config.publicUrl;
  const name = request.hostname.replace(/^\[|\]$/g, '');
  return localUrl(config, port, isLoopback(name) ? name : undefined);
}
