// What every entry command does first: check Node, install what the lock file names, compile. Plain JavaScript, no dependencies,
// because nothing may be installed yet.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a command to its end, its output ours; answers whether it ended well. */
export function run(command, args, options = {}) {
  const done = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (done.error) console.error(`${command} could not be started: ${done.error.message}`);
  return done.status === 0;
}

/** The path of a command that npm installed. */
export const bin = (name) => join(root, 'node_modules', '.bin', name);

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  console.error(`Siegel needs Node 20.19 or newer; this is ${process.version}.`);
  process.exit(1);
}

/** Installs exactly what the lock file says, once per lock file. */
export function install() {
  checkNode();
  const lock = readFileSync(join(root, 'package-lock.json'));
  const wanted = createHash('sha256').update(lock).update(process.version).digest('hex');
  const stamp = join(root, 'node_modules', '.siegel-installed');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  console.log('Installing what the lock file names …');
  if (!run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])) process.exit(1);
  writeFileSync(stamp, wanted);
}

/** Compiles every package; quick when nothing changed. */
export function build() {
  if (!run(process.execPath, [bin('tsc'), '-b'])) process.exit(1);
}
