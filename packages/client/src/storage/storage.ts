/** One change of a write; `undefined` deletes. */
export interface StorageChange {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/** Where a device keeps its keys, groups and unread messages. Everything in it is secret. One process uses it at a time. */
export interface Storage {
  read(key: string): Promise<Uint8Array | undefined>;
  /** Keys that begin with `prefix`, in no order. */
  keys(prefix: string): Promise<string[]>;
  /** Makes all changes or none; when it resolves, they survive a crash of the process. */
  write(changes: readonly StorageChange[]): Promise<void>;
}
