// The port through which an account keeps everything it must not lose. Values are opaque octets; keys are ordered text.
// Adapters: memory, IndexedDB (browser), PostgreSQL (in the gateway). All pass store.contract.ts.

/** Where a record lies. Keys sort by code point inside a collection. */
export type Collection =
  | 'meta' // one record a name: account, keys, cursor
  | 'key-package' // private halves, by reference
  | 'conversation' // by conversation id: kind, members, generation …
  | 'session' // by conversation id: MLS state with its version octet
  | 'message' // `<conversation id>/<order>`: opened contents
  | 'message-id' // by message id: where it lies
  | 'outbox' // `<order>`: what is not accepted yet
  | 'inbox' // items that could not be opened yet
  | 'received' // `<conversation id>/<sender>/<client id>`: for de-duplication
  | 'contact'; // by account id: pinned account key, device list version, certificate

/** `value` undefined deletes. */
export type StoreWrite = {
  readonly collection: Collection;
  readonly key: string;
  readonly value: Uint8Array | undefined;
};

export type StoreEntry = { readonly key: string; readonly value: Uint8Array };

export type StoreRange = {
  readonly prefix: string;
  /** exclusive lower bound, a full key */
  readonly after?: string;
  /** exclusive upper bound, a full key */
  readonly before?: string;
  readonly limit: number;
  readonly reverse?: boolean;
};

/**
 * Duties of every adapter:
 * - `get` answers undefined for what is not there, never null, never a throw.
 * - `list` is in key order (or the reverse), inside the range, at most `limit`.
 * - `commit` applies all writes or none, and is durable when its promise resolves. `within` runs in the same transaction:
 *   what it throws undoes everything. An adapter without transactions of others hands it `undefined`.
 * - One writer: an adapter that can notice a second writer throws `state-conflict` from `commit` and writes nothing.
 */
export interface Store<Transaction = unknown> {
  get(collection: Collection, key: string): Promise<Uint8Array | undefined>;
  list(collection: Collection, range: StoreRange): Promise<StoreEntry[]>;
  commit(
    writes: readonly StoreWrite[],
    within?: (transaction: Transaction) => Promise<void>,
  ): Promise<void>;
  close(): Promise<void>;
}
