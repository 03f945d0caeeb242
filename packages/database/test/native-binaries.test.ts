// What the launcher does when npm delivered less than a server: links are made again, and another
// platform is told to bring its own PostgreSQL.
import { cpSync, lstatSync, mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { nobodyUser } from '../src/embedded/launch-mode.ts';
import { findNativeBinaries, restoreLibraryLinks } from '../src/embedded/native-binaries.ts';

it('restores the links of the libraries when install scripts did not run', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'siegel-native-'));
  const folder = join(scratch, 'native');
  cpSync(findNativeBinaries().folder, folder, {
    recursive: true,
    filter: (source) => !lstatSync(source).isSymbolicLink(),
  });
  const link = join(folder, 'lib', 'libpq.so.5');
  expect(() => lstatSync(link)).toThrow();
  restoreLibraryLinks(folder);
  expect(readlinkSync(link)).toMatch(/^libpq\.so\.5\.\d+$/);
  restoreLibraryLinks(folder);
  rmSync(scratch, { recursive: true });
});

it('tells other platforms to set DATABASE_URL', () => {
  expect(() => findNativeBinaries('win32-x64')).toThrow(/set DATABASE_URL/);
  expect(() => findNativeBinaries('linux-arm64')).toThrow(/set DATABASE_URL/);
});

it('finds nobody in the account list, or says there is none', () => {
  const passwd = 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65533::/:/bin/false\n';
  expect(nobodyUser(passwd)).toEqual({ uid: 65534, gid: 65533 });
  expect(nobodyUser('root:x:0:0::/root:/bin/sh\n')).toBeUndefined();
});
