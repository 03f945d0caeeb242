// `npm run journeys [-- word]`: whole-system stories on real processes, all or those whose file has the word.

import { bin, build, install, run } from './install.mjs';

install();
build();
const ok = run(process.execPath, [
  bin('vitest'),
  'run',
  '--project',
  'journeys',
  ...process.argv.slice(2),
]);
process.exitCode = ok ? 0 : 1;
