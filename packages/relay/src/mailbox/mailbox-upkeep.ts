// What must happen without anybody asking: copy what a crash left between accept and mailbox, and end what has expired,
// one bucket after the other.

import { bucketCount } from '@siegel/protocol/ids';
import type { MailboxCopier } from './copy-to-mailboxes.ts';
import type { MailboxStore } from './mailbox-store.ts';

export type UpkeepPorts = {
  readonly copier: Pick<MailboxCopier, 'recover'>;
  readonly store: Pick<MailboxStore, 'sweep'>;
  readonly now: () => number;
  readonly failed: (failure: unknown) => void;
};

/** Rows younger than this are somebody's work under way. */
const recoverAfterMs = 3_000;
const recoverEveryMs = 5_000;
/** All buckets once an hour. */
const sweepEveryMs = 3_600_000 / bucketCount;

export function startMailboxUpkeep(ports: UpkeepPorts): { start: () => void; stop: () => void } {
  const timers: NodeJS.Timeout[] = [];
  let bucket = 0;

  /** Runs again and again, never twice at once. */
  const every = (milliseconds: number, work: () => Promise<unknown>) => {
    let busy = false;
    const timer = setInterval(() => {
      if (busy) return;
      busy = true;
      void work()
        .catch(ports.failed)
        .finally(() => {
          busy = false;
        });
    }, milliseconds);
    timer.unref();
    timers.push(timer);
  };

  return {
    start: () => {
      // Nobody else of this process has begun: everything uncopied is somebody's crash, or harmless to repeat.
      ports.copier.recover(ports.now() + 1).catch(ports.failed);
      every(recoverEveryMs, () => ports.copier.recover(ports.now() - recoverAfterMs));
      every(sweepEveryMs, () => {
        bucket = (bucket + 1) % bucketCount;
        return ports.store.sweep(bucket);
      });
    },
    stop: () => {
      for (const timer of timers) clearInterval(timer);
    },
  };
}
