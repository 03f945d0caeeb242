// `npm run check`: everything a machine can say without running the product, in order of speed. Ends with `N passed, N failed`.

import { bin, install, run } from './install.mjs';

const node = (script, ...args) => [bin(script), ...args];
const source = (file, ...args) => ['--conditions=source', '--import', 'tsx', file, ...args];

const steps = new Map([
  ['format', node('biome', 'ci', '--error-on-warnings', '.')],
  ['types', node('tsc', '-b')],
  ['types of tests', node('tsc', '-p', 'tsconfig.tests.json')],
  ['lint', node('oxlint', '--type-aware', '--deny-warnings')],
  [
    'import directions',
    node('depcruise', '--config', '.dependency-cruiser.cjs', 'packages', 'bots'),
  ],
  ['unused code', node('knip')],
  ['OpenAPI is current', source('tools/openapi.ts', '--check')],
  ['import graph is current', source('tools/import-graph.ts', '--check')],
  ['tidy', node('vitest', 'run', '--project', 'tidy')],
]);

/** Runs every step, also after a failure, so that one run shows all faults. */
export function check() {
  let failed = 0;
  for (const [name, args] of steps) {
    console.log(`\n── ${name}`);
    if (run(process.execPath, args)) continue;
    failed += 1;
    console.error(`failed: ${name}`);
  }
  return { passed: steps.size - failed, failed };
}

if (import.meta.url === `file://${process.argv[1]}`) {
  install();
  const { passed, failed } = check();
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
