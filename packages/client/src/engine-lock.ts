// One writer per store: a second engine on the same state would use the same keys twice, and messages would be lost.

/** Web Locks in a browser; a server's store has a lease with fencing of its own and hands in nothing. */
export type EngineLock = {
  /** Waits for its turn, or throws `state-conflict`. `lost` is called when the right is taken away. */
  acquire(lost: () => void): Promise<{ release(): void | Promise<void> }>;
};

/** For a store that only one engine can reach. */
export const noLock: EngineLock = {
  acquire: async () => ({ release: () => undefined }),
};
