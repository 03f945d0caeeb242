// Completes package-lock.json with the optional packages of other platforms. A registry copy may lack them, npm then leaves them
// out, and `npm ci` refuses a lock file without them. Run it after `npm install`; it changes nothing that is there.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './install.mjs';

const systems = [
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'aix',
  'win32',
  'windows',
];
const processors = [
  'arm64',
  'x64',
  'ia32',
  'arm',
  'ppc64',
  'riscv64',
  's390x',
  'loong64',
  'mips64el',
  'wasm32',
];

/** What a platform package says of itself in its name: `@scope/cli-linux-x64-musl`. */
function platformOf(name) {
  const words = name.split(/[/.-]/);
  const system = systems.find((one) => words.includes(one));
  const processor = processors.find((one) => words.includes(one) || words.includes(`${one}le`));
  return {
    ...(processor === undefined ? {} : { cpu: [processor] }),
    ...(system === undefined ? {} : { os: [system === 'windows' ? 'win32' : system] }),
    ...(words.includes('musl') ? { libc: ['musl'] } : {}),
  };
}

/** Where npm would look for `name` from the folder of `path`, nearest first. */
function isInstalled(packages, path, name) {
  for (let at = path; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
    if (packages[`${at === '' ? '' : `${at}/`}node_modules/${name}`] !== undefined) return true;
    if (at === '') return false;
    if (!at.includes('/node_modules/')) return packages[`node_modules/${name}`] !== undefined;
  }
}

const file = join(root, 'package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8'));
const added = {};
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (isInstalled({ ...lock.packages, ...added }, path, name)) continue;
    if (!/^\d/.test(version)) throw new Error(`${path} wants ${name} ${version}: no exact version`);
    added[`node_modules/${name}`] = {
      version,
      dev: entry.dev,
      optional: true,
      ...platformOf(name),
    };
  }
}
const packages = Object.entries({ ...lock.packages, ...added }).sort(([a], [b]) =>
  a < b ? -1 : 1,
);
writeFileSync(
  file,
  `${JSON.stringify({ ...lock, packages: Object.fromEntries(packages) }, null, 2)}\n`,
);
console.log(`${Object.keys(added).length} entries added`);
