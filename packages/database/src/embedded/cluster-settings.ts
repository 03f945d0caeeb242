// The settings an embedded cluster runs with: durable, quiet about contents, small. All are
// passed on the command line, so a running postmaster tells whether it has today's settings.
import type { LaunchMode } from './launch-mode.ts';

export interface ClusterSettings {
  readonly connectionsMax: number;
  readonly sharedBuffersMegabytes: number;
}

export const superuser = 'postgres';
/** Sorts by code point and still knows letters beyond ASCII; needs no locale of the machine. */
const builtinLocale = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'];

export function postmasterArguments(
  dataArgument: string,
  socketFolder: string,
  settings: ClusterSettings,
): string[] {
  const values: Record<string, string> = {
    // Reached through the private socket only.
    listen_addresses: '',
    unix_socket_directories: socketFolder,
    unix_socket_permissions: '0700',
    max_connections: String(settings.connectionsMax),
    // Acknowledged means on disk.
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
    shared_buffers: `${settings.sharedBuffersMegabytes}MB`,
    max_wal_size: '512MB',
    // Parallel workers need /dev/shm, which containers keep at 64 MB; no LLVM is shipped for jit.
    max_parallel_workers_per_gather: '0',
    max_parallel_maintenance_workers: '0',
    jit: 'off',
    // The log holds the server's life, never a statement, parameter, row or error of a client:
    // level "log" leaves out ERROR, "terse" leaves out DETAIL lines with row contents.
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    log_parameter_max_length: '0',
    log_parameter_max_length_on_error: '0',
    log_statement: 'none',
    log_min_duration_statement: '-1',
    log_checkpoints: 'off',
    log_autovacuum_min_duration: '-1',
    log_timezone: 'UTC',
    timezone: 'UTC',
  };
  const flags = Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return ['-D', dataArgument, ...flags];
}

/**
 * Where the server can see who connects it accepts one system user only. Inside a user namespace
 * every caller looks like nobody, so there the 0700 socket folder alone decides.
 */
export function accessRules(mode: LaunchMode): { hba: string; ident: string } {
  if (mode.kind === 'user-namespace') return { hba: 'local all all trust\n', ident: '' };
  const systemUser = mode.kind === 'plain' ? mode.systemUser : 'root';
  return {
    hba: 'local all all peer map=owner\n',
    ident: `owner "${systemUser.replaceAll('"', '""')}" all\n`,
  };
}

export function initdbArguments(dataArgument: string): string[] {
  const access = ['-D', dataArgument, '-U', superuser, '-A', 'reject'];
  return [...access, '-E', 'UTF8', '--locale=C', ...builtinLocale];
}
