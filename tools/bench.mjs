// `npm run bench [name] [-- --profile]`: measures, prints, and writes bench/results/<name>.json.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build, install, root, run } from './install.mjs';

install();
build();
const known = readdirSync(join(root, 'bench'))
  .filter((file) => file.endsWith('.bench.ts'))
  .map((file) => file.slice(0, -'.bench.ts'.length));
const options = process.argv.slice(2).filter((word) => word.startsWith('--'));
const wanted = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const unknown = wanted.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`No bench named ${unknown.join(', ')}. There are: ${known.join(', ')}.`);
  process.exit(1);
}
const failed = (wanted.length > 0 ? wanted : known).filter(
  (name) => !run(process.execPath, ['--import', 'tsx', `bench/${name}.bench.ts`, ...options]),
);
process.exitCode = failed.length === 0 ? 0 : 1;
