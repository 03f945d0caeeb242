// Finds a Chromium for the browser tests: an installed one, else Debian's package when root, else Playwright's own.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { bin, run } from './install.mjs';

const installed = () =>
  [
    process.env.SIEGEL_CHROMIUM,
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
  ]
    .filter((path) => path !== undefined)
    .find((path) => existsSync(path));

function playwrights() {
  const script = "process.stdout.write(require('playwright').chromium.executablePath())";
  const path = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' }).stdout;
  return path && existsSync(path) ? path : undefined;
}

/** The path of a usable Chromium, or undefined with the reason printed. */
export function ensureChromium() {
  const found = installed() ?? playwrights();
  if (found !== undefined) return found;
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    console.log('Installing Debian’s Chromium for the browser tests …');
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const quiet = { env, stdio: ['ignore', 'ignore', 'inherit'] };
    run('apt-get', ['update', '-qq'], quiet);
    run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium'], quiet);
  } else {
    console.log('Installing Playwright’s Chromium for the browser tests …');
    run(process.execPath, [bin('playwright'), 'install', 'chromium']);
  }
  const now = installed() ?? playwrights();
  if (now === undefined) {
    console.error('No Chromium: install one, or name it in SIEGEL_CHROMIUM.');
  }
  return now;
}
