// A map that forgets its oldest entry when it is full; for what can be fetched or worked out again.

export type BoundedMap<Value> = {
  get(key: string): Value | undefined;
  set(key: string, value: Value): void;
};

export function createBoundedMap<Value>(entriesMax: number): BoundedMap<Value> {
  const entries = new Map<string, Value>();
  return {
    get: (key) => entries.get(key),
    set(key, value) {
      entries.delete(key);
      entries.set(key, value);
      const oldest = entries.keys().next();
      if (entries.size > entriesMax && !oldest.done) entries.delete(oldest.value);
    },
  };
}
