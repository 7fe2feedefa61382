import type { StorageChange } from '../storage/storage.ts';
import type { Context } from './context.ts';
import type { GroupRecord } from './records.ts';

/** What processing a message needs of its conversation. */
export interface MessageTarget {
  readonly context: Context;
  readonly convoId: string;
  /** The present record. @throws NotInGroupError. */
  record(): GroupRecord;
  /** Stores the record, with `more` in one write. */
  store(record: GroupRecord, more?: readonly StorageChange[]): Promise<void>;
  emitEpoch(): Promise<void>;
  /** Ends the calls of the operation that is running. */
  signal(): AbortSignal;
}
