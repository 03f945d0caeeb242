// The vectors in `packages/crypto/vectors`, and all of a checkout of mlswg/mls-implementations when
// SIEGEL_MLS_VECTORS names its folder `test-vectors`.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { browserProvider } from '../src/index.ts';
import { nodeProvider } from '../src/node.ts';
import { checks, type JsonObject } from './mls-vectors.ts';

const suiteOne = 1;
const ours = join(import.meta.dirname, '../vectors');
const complete = process.env['SIEGEL_MLS_VECTORS'];
const folders = complete === undefined ? [ours] : [ours, complete];

for (const makeProvider of [nodeProvider, browserProvider]) {
  const { suite, name } = await makeProvider();
  for (const [index, folder] of folders.entries()) {
    describe(`${index === 0 ? 'committed' : 'complete'} MLS vectors (${name})`, () => {
      for (const [file, check] of Object.entries(checks)) {
        const path = join(folder, `${file}.json`);
        if (!existsSync(path)) continue;
        const all = JSON.parse(readFileSync(path, 'utf8')) as JsonObject[];
        const vectors = all.filter((vector) => vector['cipher_suite'] === suiteOne);
        it(`${file}: ${vectors.length} of suite 1`, async () => {
          expect(vectors.length).toBeGreaterThan(0);
          for (const vector of vectors) await check(vector, suite);
        }, 300_000);
      }
    });
  }
}
