// A child writes straight into its log file, so that nothing is lost when the supervisor dies; the
// supervisor only keeps it from growing.
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { join } from 'node:path';

const logBytesMax = 10 * 1024 * 1024;
const tailBytes = 2_000;

export type ChildLog = {
  readonly path: string;
  /** A file descriptor for the child; the caller closes it. */
  open(): number;
  /** Moves a full log aside; one old one is kept. */
  trim(): void;
  /** The last lines, to say why a child ended. */
  tail(): string;
};

export function childLog(folder: string, name: string): ChildLog {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${name}.log`);
  closeSync(openSync(path, 'a', 0o600));
  return {
    path,
    open: () => openSync(path, 'a', 0o600),
    trim() {
      if (statSync(path).size <= logBytesMax) return;
      copyFileSync(path, `${path}.1`);
      // The child appends, so it goes on at the new end.
      truncateSync(path);
    },
    tail: () =>
      readFileSync(path, 'utf8').slice(-tailBytes).trim().split('\n').slice(-8).join('\n'),
  };
}
