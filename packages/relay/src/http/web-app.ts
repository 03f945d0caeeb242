// Serves the built files of a web app with a strict policy: no inline script, no foreign request. The folder is listed
// once, so a path from outside is only ever looked up, never joined to a file name.

import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { SiegelError } from '@siegel/protocol/errors';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { pageHeaders } from './security-headers.ts';

const filesMax = 10_000;

const mediaTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
  '.txt': 'text/plain; charset=utf-8',
  '.mp3': 'audio/mpeg',
};

export type WebAppPorts = {
  readonly folder: string;
  /** Where this page finds the relay, seen from the browser that asked. */
  readonly relayUrl: (request: FastifyRequest) => string;
};

export async function addWebApp(app: FastifyInstance, ports: WebAppPorts): Promise<void> {
  const files = await listFiles(ports.folder);
  const headersFor = (request: FastifyRequest) => {
    const url = ports.relayUrl(request);
    return pageHeaders([url, url.replace(/^http/, 'ws')]);
  };

  async function sendFile(request: FastifyRequest, reply: FastifyReply, path: string) {
    const file = files.get(path);
    if (file === undefined) throw new SiegelError('not-found');
    const info = await stat(file).catch(() => undefined);
    if (info === undefined) throw new SiegelError('not-found');
    // Vite puts the hash of the content into the names below /assets/.
    const isHashed = path.startsWith('/assets/');
    reply.headers({
      ...headersFor(request),
      'content-type': mediaTypes[extname(file)] ?? 'application/octet-stream',
      'content-length': String(info.size),
      'cache-control': isHashed ? 'public, max-age=31536000, immutable' : 'no-cache',
    });
    return reply.send(createReadStream(file));
  }

  app.get('/siegel.json', { config: { endpoint: 'webApp' } }, async (request) => ({
    relay: ports.relayUrl(request),
  }));
  app.get('/*', { config: { endpoint: 'webApp' } }, async (request, reply) => {
    const path = `/${(request.params as { '*': string })['*']}`;
    if (files.has(path)) return sendFile(request, reply, path);
    // A page's own addresses are answered by the page; a missing file is missing.
    const isPage = extname(path) === '' && !path.startsWith('/v1/');
    return sendFile(request, reply, isPage ? '/index.html' : path);
  });
}

async function listFiles(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = new Map<string, string>();
  for (const entry of entries) {
    if (!entry.isFile() || files.size >= filesMax) continue;
    const file = join(entry.parentPath, entry.name);
    files.set(file.slice(folder.length).replaceAll('\\', '/').replace(/^\/*/, '/'), file);
  }
  return files;
}
