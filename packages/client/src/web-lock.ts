// One engine per browser profile: the Web Lock of an account's name, shared by all tabs and the service worker (design §3).

import type { EngineLock } from './engine-lock.ts';

/** Held until `release`, or until the tab is gone. Another tab waits its turn. */
export const createWebLock = (locks: LockManager, name: string): EngineLock => ({
  acquire(lost) {
    return new Promise((resolve, reject) => {
      let released = false;
      const held = locks.request(name, () => {
        return new Promise<void>((release) => {
          resolve({
            release() {
              released = true;
              release();
            },
          });
        });
      });
      // A lock that was stolen, or a browser that refuses locks, rejects; before the lock was held nobody is told `lost`.
      held.catch((error: unknown) => {
        reject(error instanceof Error ? error : new Error('lock refused'));
        if (!released) lost();
      });
    });
  },
});
