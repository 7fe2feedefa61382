import type { Awaitable } from '../table/decision.ts';
import type { Outcome, QuotaRule } from './gcra.ts';

/** The names of one bucket, each 16 bytes in hex. A bucket has more than one name for a while when names change. */
export interface BucketNames {
  readonly current: string;
  /** The name before the last change. Charges under this name still count, and move to `current`. */
  readonly previous: string | undefined;
  /**
   * The name that servers with a faster clock may already use, in shared stores only. Charges under this name count
   * too.
   */
  readonly next?: string;
}

/** Counts the charges of buckets. Bucket names are HMACs, so a store cannot identify accounts or addresses. */
export interface QuotaStore {
  /**
   * Charges `cost` (default 1) if there is room.
   * @throws RangeError unless `cost` is a whole number from 1 to the limit.
   */
  charge(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Awaitable<Outcome>;
  /** Returns the outcome that `charge` would have, and charges nothing. */
  peek(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Awaitable<Outcome>;
  /** Refunds a charge made at `chargedAtMs`. */
  refund(bucket: BucketNames, rule: QuotaRule, chargedAtMs: number, cost?: number): Awaitable<void>;
}

/** A store that counts for several servers. Its methods reject when the store is unavailable. */
export interface SharedQuotaStore extends QuotaStore {
  /**
   * Counts a cost that a server has admitted already, even without room, and returns the state after it. The next charge
   * then waits at most one window.
   */
  record(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost: number): Promise<Outcome>;
}
