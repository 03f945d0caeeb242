// `npm test`: the checks, then every test, then one plain line. `npm test -- mailbox` runs only the tests whose path has that word.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { check } from './check.mjs';
import { ensureChromium } from './chromium.mjs';
import { bin, build, install, run } from './install.mjs';

const results = mkdtempSync(join(tmpdir(), 'siegel-results-'));

/** One Vitest run; its own count, and one failure more when it ended badly without naming any. */
function vitest(name, args, env = {}) {
  console.log(`\n── ${name}`);
  const file = join(results, `${name.replaceAll(' ', '-')}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const ok = run(process.execPath, [bin('vitest'), 'run', ...reporters, ...args], {
    env: { ...process.env, ...env },
  });
  return { name, ok, ...counted(file, ok) };
}

function counted(file, ok) {
  try {
    const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(
      readFileSync(file, 'utf8'),
    );
    const failed = numFailedTests === 0 && !ok ? 1 : numFailedTests;
    // Tests that need root, or an account that may start programs here, are named as skipped.
    return { passed: numPassedTests, failed, skipped: numPendingTests };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

install();
const only = process.argv.slice(2);
const rounds = [];
if (only.length > 0) {
  rounds.push(vitest('tests', ['--project', 'tests', ...only]));
} else {
  const chromium = ensureChromium();
  rounds.push({ name: 'checks', ...check(), skipped: 0 });
  build();
  rounds.push(vitest('tests', ['--project', 'tests']));
  rounds.push(
    chromium === undefined
      ? { name: 'browser', passed: 0, failed: 1, skipped: 0 }
      : vitest('browser', ['--config', 'vitest.browser.config.ts'], { SIEGEL_CHROMIUM: chromium }),
  );
  rounds.push(vitest('journeys', ['--project', 'journeys']));
}
rmSync(results, { recursive: true, force: true });

console.log('');
for (const { name, passed, failed } of rounds)
  console.log(`${name}: ${passed} of ${passed + failed}`);
const sum = (key) => rounds.reduce((total, round) => total + round[key], 0);
const skipped = sum('skipped') === 0 ? '' : `, ${sum('skipped')} skipped`;
console.log(`${sum('passed')} passed, ${sum('failed')} failed${skipped}`);
process.exitCode = sum('failed') === 0 ? 0 : 1;
