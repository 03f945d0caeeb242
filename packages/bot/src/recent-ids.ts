// Remembers the ids of the last messages, so that a webhook delivered twice is answered once.
// Oldest ids go first.

export interface RecentIds {
  has(id: string): boolean;
  add(id: string): void;
}

export function createRecentIds(idsMax: number): RecentIds {
  // A Set keeps the order of insertion: its first entry is the oldest.
  const ids = new Set<string>();
  return {
    has: (id) => ids.has(id),
    add(id) {
      ids.add(id);
      if (ids.size <= idsMax) return;
      const oldest = ids.values().next();
      if (oldest.done !== true) ids.delete(oldest.value);
    },
  };
}
