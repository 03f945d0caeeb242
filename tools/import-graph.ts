// Writes the graph of packages into ARCHITECTURE.md between its markers, from the imports as they are; --check compares only.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const file = 'ARCHITECTURE.md';
const begin = '<!-- import-graph -->';
const end = '<!-- /import-graph -->';

type Cruise = { modules: { source: string; dependencies: { resolved: string }[] }[] };

const roomOf = (path: string): string | undefined =>
  /^packages\/([^/]+)\/src/.exec(path)?.[1] ?? (/^bots\//.test(path) ? 'bots' : undefined);

function edges(): string[] {
  const run = spawnSync(
    process.execPath,
    [
      'node_modules/.bin/depcruise',
      '--config',
      '.dependency-cruiser.cjs',
      '--output-type',
      'json',
      'packages',
      'bots',
    ],
    { encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 },
  );
  const cruise = JSON.parse(run.stdout) as Cruise;
  const found = new Set<string>();
  for (const module of cruise.modules) {
    if (/\.test\.ts$|\/test\//.test(module.source)) continue;
    const from = roomOf(module.source);
    for (const { resolved } of module.dependencies) {
      const to = roomOf(resolved);
      if (from !== undefined && to !== undefined && from !== to) found.add(`  ${from} --> ${to}`);
    }
  }
  return [...found].sort();
}

const text = readFileSync(file, 'utf8');
const graph = [begin, '```mermaid', 'graph TD', ...edges(), '```', end].join('\n');
const updated = text.replace(new RegExp(`${begin}[\\s\\S]*${end}`), graph);
if (process.argv.includes('--check')) {
  if (updated !== text)
    console.error(`The import graph in ${file} is not current: run \`npm run docs\`.`);
  process.exitCode = updated === text ? 0 : 1;
} else {
  writeFileSync(file, updated);
}
