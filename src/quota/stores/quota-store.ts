import type { Awaitable } from '../table/decision.ts';
import type { Outcome, QuotaRule } from './gcra.ts';

/** Names of one bucket, 16 bytes in hex each. After a change of salt a bucket has two names for a while. */
export interface BucketNames {
  readonly current: string;
  /** Charges under this name count, and move to `current`. */
  readonly previous: string | undefined;
  /** In shared stores: the name that servers whose clocks are ahead already use. It counts as soon as it exists. */
  readonly next?: string;
}

/**
 * Counts charges. A store gets names that are HMACs, so it cannot identify accounts or addresses. Rules may have
 * different windows.
 */
export interface QuotaStore {
  /**
   * Charges `cost` (default 1) if there is room.
   * @throws RangeError unless `cost` is a whole number from 1 to the limit.
   */
  charge(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Awaitable<Outcome>;
  /** Returns what `charge` would return, and charges nothing. */
  peek(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Awaitable<Outcome>;
  /** Refunds a charge made at `chargedAtMs`. */
  refund(bucket: BucketNames, rule: QuotaRule, chargedAtMs: number, cost?: number): Awaitable<void>;
}
