// Chooses the private folder of a cluster's unix socket. The folder is the gate (0700), so it is
// checked, not assumed; a socket path longer than the kernel takes moves to the temporary folder.

import { createHash } from 'node:crypto';
import { chmodSync, chownSync, lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseFailure } from '../database-failure.ts';
import { errorCode } from '../error-code.ts';
import type { LaunchMode } from './launch-mode.ts';

export const socketPort = 5432;
/** sun_path holds 108 bytes including the closing zero. */
const socketPathBytesMax = 107;
const candidatesMax = 8;

function fits(folder: string): boolean {
  return Buffer.byteLength(join(folder, `.s.PGSQL.${socketPort}`)) <= socketPathBytesMax;
}

/** False when something else, or somebody else's, has that name. */
function makePrivate(folder: string, owner: { uid: number; gid: number }): boolean {
  try {
    mkdirSync(folder, { mode: 0o700 });
    if (owner.uid !== process.getuid?.()) chownSync(folder, owner.uid, owner.gid);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
  const status = lstatSync(folder);
  if (!status.isDirectory()) return false;
  if (status.uid !== owner.uid) {
    // Root may have died between making the folder and giving it away.
    if (process.getuid?.() !== 0 || status.uid !== 0) return false;
    chownSync(folder, owner.uid, owner.gid);
  }
  chmodSync(folder, 0o700);
  return true;
}

export function prepareSocketFolder(clusterFolder: string, mode: LaunchMode): string {
  const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const owner = mode.kind === 'nobody' ? mode : self;
  const inside = join(clusterFolder, 'socket');
  // The user nobody cannot reach below a closed home, so its socket always lives outside.
  if (mode.kind !== 'nobody' && fits(inside)) {
    if (makePrivate(inside, owner)) return inside;
    throw new DatabaseFailure('embedded-folder-unsafe', `${inside} is not a folder of ours`);
  }
  const hash = createHash('sha256').update(`${owner.uid}:${clusterFolder}`).digest('hex');
  for (let candidate = 0; candidate < candidatesMax; candidate += 1) {
    const folder = join(tmpdir(), `siegel-${hash.slice(candidate * 2, candidate * 2 + 16)}`);
    if (!fits(folder)) break;
    if (makePrivate(folder, owner)) return folder;
  }
  const message = `no private folder for a socket in ${tmpdir()} (names taken, or path too long)`;
  throw new DatabaseFailure('embedded-folder-unsafe', message);
}
