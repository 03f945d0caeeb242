// The relay may import './verify': nothing it reaches may open or seal content (design §2).

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';

const source = join(import.meta.dirname, '../src');

/** Everything a file imports or re-exports at run time; types are erased. */
const importsOf = (path: string): readonly string[] =>
  [
    ...readFileSync(path, 'utf8').matchAll(/^(?:import|export)\s(?!type\s)[^;]*?from '([^']+)'/gm),
  ].map(([, name = '']) => name);

function reach(path: string, seen: Set<string> = new Set()): Set<string> {
  for (const name of importsOf(path)) {
    const target = name.startsWith('.') ? join(dirname(path), name) : name;
    if (seen.has(target)) continue;
    seen.add(target);
    if (name.startsWith('.')) reach(target, seen);
  }
  return seen;
}

it('verify reaches nothing that opens or seals', () => {
  const reached = [...reach(join(source, 'verify.ts'))].map((path) =>
    path.replace(`${source}/`, ''),
  );
  expect(reached.filter((path) => path.startsWith('mls/'))).toEqual(['mls/extensions.ts']);
  expect(reached.filter((path) => !path.endsWith('.ts')).sort()).toEqual([
    '@noble/hashes/hmac.js',
    '@noble/hashes/sha2.js',
    '@siegel/protocol/errors',
    '@siegel/protocol/limits',
    '@siegel/protocol/relay',
    'jose',
    'ts-mls/keyPackage.js',
    'ts-mls/leafNode.js',
  ]);
});

it('only the Node entry touches node:', () => {
  const fromIndex = [...reach(join(source, 'index.ts'))];
  expect(fromIndex.filter((path) => path.startsWith('node:'))).toEqual([]);
  expect([...reach(join(source, 'node.ts'))]).toContain('node:crypto');
});
