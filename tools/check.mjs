// `npm run check`: everything a machine can say without running the product, in order of speed. Ends with `N passed, N failed`.

import { bin, install, run } from './install.mjs';

const node = (script, ...args) => [process.execPath, [bin(script), ...args]];
const source = (file, ...args) => [
  process.execPath,
  ['--conditions=source', '--import', 'tsx', file, ...args],
];

const steps = [
  ['format', ...node('biome', 'ci', '--error-on-warnings', '.')],
  ['types', ...node('tsc', '-b')],
  ['types of tests', ...node('tsc', '-p', 'tsconfig.tests.json')],
  ['lint', ...node('oxlint', '--type-aware', '--deny-warnings')],
  [
    'import directions',
    ...node('depcruise', '--config', '.dependency-cruiser.cjs', 'packages', 'bots'),
  ],
  ['unused code', ...node('knip')],
  ['OpenAPI is current', ...source('tools/openapi.ts', '--check')],
  ['import graph is current', ...source('tools/import-graph.ts', '--check')],
  ['tidy', ...node('vitest', 'run', '--project', 'tidy')],
];

/** Runs every step, also after a failure, so that one run shows all faults. */
export function check() {
  const failed = steps.filter(([name, command, args]) => {
    console.log(`\n── ${name}`);
    return !run(command, args);
  });
  for (const [name] of failed) console.error(`failed: ${name}`);
  return { passed: steps.length - failed.length, failed: failed.length };
}

if (import.meta.url === `file://${process.argv[1]}`) {
  install();
  const { passed, failed } = check();
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
