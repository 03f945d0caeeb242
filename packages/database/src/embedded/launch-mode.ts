// Decides as whom PostgreSQL runs: it refuses to be root. An ordinary user starts it directly;
// root starts it in a user namespace, where it sees itself as nobody, and where namespaces are
// forbidden (most containers) as the real user nobody.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { promisify } from 'node:util';
import { DatabaseFailure } from '../database-failure.ts';

export type LaunchMode =
  | { readonly kind: 'plain'; readonly systemUser: string }
  | { readonly kind: 'user-namespace' }
  | { readonly kind: 'nobody'; readonly uid: number; readonly gid: number };

const probeTimeoutMs = 10_000;

/** The account database may not know our uid (containers with a bare number). */
function systemUserName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

export function nobodyUser(passwd: string): { uid: number; gid: number } | undefined {
  for (const line of passwd.split('\n')) {
    const [name, , uid, gid] = line.split(':');
    if (name === 'nobody') return { uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}

/** Tries it for real: the binary must run and the folder be writable from inside the namespace. */
async function namespaceWorks(folder: string, postgres: string): Promise<boolean> {
  const script = 'cd "$1" && test -w . && exec "$2" --version';
  const probe = ['-U', '/bin/sh', '-c', script, 'sh', folder, postgres];
  try {
    await promisify(execFile)('unshare', probe, { timeout: probeTimeoutMs });
    return true;
  } catch {
    return false;
  }
}

export interface LaunchModeQuestion {
  /** The cluster's folder, ours, which holds the data folder. */
  readonly folder: string;
  readonly dataFolder: string;
  readonly postgres: string;
}

export async function chooseLaunchMode(question: LaunchModeQuestion): Promise<LaunchMode> {
  const { folder, dataFolder, postgres } = question;
  const uid = process.getuid?.() ?? 0;
  const dataOwner = existsSync(dataFolder) ? statSync(dataFolder).uid : uid;
  if (uid !== 0) {
    if (dataOwner !== uid) {
      const message = `${dataFolder} belongs to another user (uid ${dataOwner})`;
      throw new DatabaseFailure('embedded-folder-unsafe', message);
    }
    const systemUser = systemUserName();
    if (systemUser !== undefined) return { kind: 'plain', systemUser };
    // initdb insists on a name for its user; inside a namespace that name is nobody.
    if (await namespaceWorks(folder, postgres)) return { kind: 'user-namespace' };
    const message = `uid ${uid} has no name in /etc/passwd and user namespaces are forbidden`;
    throw new DatabaseFailure('embedded-init-failed', message);
  }
  const nobody = nobodyUser(readFileSync('/etc/passwd', 'utf8'));
  if (dataOwner === 0 && (await namespaceWorks(folder, postgres))) {
    return { kind: 'user-namespace' };
  }
  if (nobody === undefined) {
    const message = 'running as root, user namespaces are forbidden and there is no user nobody';
    throw new DatabaseFailure('embedded-init-failed', message);
  }
  if (dataOwner !== 0 && dataOwner !== nobody.uid) {
    const message = `${dataFolder} belongs to another user (uid ${dataOwner}); start as that user`;
    throw new DatabaseFailure('embedded-folder-unsafe', message);
  }
  return { kind: 'nobody', ...nobody };
}
