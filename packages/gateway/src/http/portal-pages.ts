// The portal's files at `/`, under a strict policy. The folder is listed once: what is asked for is looked up, never joined to a path.

import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';

const filesMax = 200;

const mediaTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const policy = [
  "default-src 'none'",
  "style-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Files of another kind, and folders, are not served. */
export async function addPortalPages(app: FastifyInstance, folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => mediaTypes[extname(name)] !== undefined);
  for (const name of names.slice(0, filesMax)) {
    const bytes = await readFile(join(folder, name));
    const type = mediaTypes[extname(name)] ?? '';
    for (const url of name === 'index.html' ? ['/', '/index.html'] : [`/${name}`]) {
      app.get(url, async (_request, reply) =>
        reply.type(type).header('content-security-policy', policy).send(bytes),
      );
    }
  }
}
