// Everything decided before a process is started: where the cluster's files lie, as whom it runs,
// and the exact command of its postmaster.
import {
  chmodSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseFailure } from '../database-failure.ts';
import { type ClusterSettings, postmasterArguments } from './cluster-settings.ts';
import { chooseLaunchMode, type LaunchMode } from './launch-mode.ts';
import { copyForOtherUsers, type NativeBinaries } from './native-binaries.ts';
import { prepareSocketFolder } from './socket-folder.ts';

export interface ClusterPlan {
  readonly name: string;
  readonly dataFolder: string;
  readonly initFolder: string;
  readonly logFile: string;
  readonly socketFolder: string;
  readonly native: NativeBinaries;
  readonly mode: LaunchMode;
  /** What the kernel will show as the postmaster's command line. */
  readonly postmaster: readonly string[];
}

const namePattern = /^[a-z][a-z0-9-]{0,39}$/;
const logBytesMax = 10 * 1024 * 1024;

/** The cluster's own folder, `<home>/<name>`, private to us. */
export function prepareClusterFolder(home: string, name: string): string {
  if (!namePattern.test(name)) {
    throw new DatabaseFailure('name-invalid', `not a cluster name: ${JSON.stringify(name)}`);
  }
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const folder = join(realpathSync(home), name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const status = lstatSync(folder);
  if (!status.isDirectory() || status.uid !== process.getuid?.()) {
    throw new DatabaseFailure('embedded-folder-unsafe', `${folder} is not a folder of ours`);
  }
  chmodSync(folder, 0o700);
  return folder;
}

/**
 * A process that is not allowed to walk down a closed home still may use the folder it was
 * started in, and the kernel's link to it is an absolute path PostgreSQL accepts.
 */
export function dataArgumentFor(mode: LaunchMode, folder: string): string {
  return mode.kind === 'nobody' ? '/proc/self/cwd' : folder;
}

export function giveAway(folder: string, owner: { uid: number; gid: number }): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) giveAway(path, owner);
    else lchownSync(path, owner.uid, owner.gid);
  }
  lchownSync(folder, owner.uid, owner.gid);
}

function keepLogSmall(logFile: string): void {
  const bytes = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
  if (bytes > logBytesMax) renameSync(logFile, `${logFile}.1`);
}

export interface PlanRequest {
  readonly folder: string;
  readonly name: string;
  readonly native: NativeBinaries;
  readonly settings: ClusterSettings;
}

export async function planCluster(request: PlanRequest): Promise<ClusterPlan> {
  const { folder, name, settings } = request;
  const dataFolder = join(folder, 'data');
  const postgres = join(request.native.folder, 'bin', 'postgres');
  const mode = await chooseLaunchMode({ folder, dataFolder, postgres });
  const native = mode.kind === 'nobody' ? await copyForOtherUsers(request.native) : request.native;
  const socketFolder = prepareSocketFolder(folder, mode);
  const logFile = join(folder, 'postgres.log');
  keepLogSmall(logFile);
  return {
    name,
    dataFolder,
    initFolder: join(folder, 'data.initializing'),
    logFile,
    socketFolder,
    native,
    mode,
    postmaster: [
      join(native.folder, 'bin', 'postgres'),
      ...postmasterArguments(dataArgumentFor(mode, dataFolder), socketFolder, settings),
    ],
  };
}
