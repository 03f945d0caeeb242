// Where the programs of the town's children are: the built ones, or the sources through tsx while
// somebody is developing.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const repository = fileURLToPath(new URL('../../../../', import.meta.url));

const rooms = ['packages', 'bots'];

/** Milliseconds of the newest source below a folder. */
function newestSource(folder: string): number {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() || /\.(ts|json)$/.test(entry.name))
    .filter((entry) => !entry.name.endsWith('.test.ts'))
    .map((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? newestSource(path) : statSync(path).mtimeMs;
    })
    .reduce((newest, one) => Math.max(newest, one), 0);
}

/** tsc touches its build info whenever it built, so a newer source has not been built. */
function isFresh(packageFolder: string): boolean {
  const built = join(packageFolder, 'tsconfig.tsbuildinfo');
  const source = join(packageFolder, 'src');
  if (!existsSync(join(packageFolder, 'tsconfig.json')) || !existsSync(source)) return true;
  return existsSync(built) && newestSource(source) <= statSync(built).mtimeMs;
}

function isBuilt(): boolean {
  return rooms.every((room) =>
    readdirSync(join(repository, room)).every((name) => isFresh(join(repository, room, name))),
  );
}

let decided: boolean | undefined;

/** The choice is made once: all children of a town run the same way. */
const runsSources = (): boolean => {
  decided ??= import.meta.url.endsWith('.ts') && !isBuilt();
  return decided;
};

/**
 * node's arguments for a program named by package folder and file, as `packages/testkit`,
 * `children/relay-child`.
 */
export function programOf(packageFolder: string, file: string): readonly string[] {
  const folder = join(repository, packageFolder);
  if (!runsSources()) return ['--enable-source-maps', join(folder, 'dist', `${file}.js`)];
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return ['--conditions=source', '--import', tsx, join(folder, 'src', `${file}.ts`)];
}
