// `npm start` in a fresh clone: installs when needed, compiles, then hands over to the town.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { build, install, root } from './install.mjs';

install();
build();

const town = spawn(process.execPath, [join(root, 'packages/cli/bin/siegel.mjs'), 'town'], {
  cwd: root,
  stdio: 'inherit',
});
// A terminal sends Ctrl-C to the whole group; whoever stops only this process stops the town too.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => town.kill(signal));
town.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 0)));
