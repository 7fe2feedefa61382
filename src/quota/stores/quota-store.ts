import type { Awaitable } from '../table/decision.ts';
import type { Outcome, QuotaRule } from './gcra.ts';

/** Names of one bucket, 16 bytes in hex each. While the salt of the names changes, a bucket has two. */
export interface BucketNames {
  readonly current: string;
  /** What was charged under it counts, and moves to `current`. */
  readonly former: string | undefined;
  /** In stores that are shared: what servers whose clocks are ahead call it already. It counts as soon as it exists. */
  readonly next?: string;
}

/** Where charges are counted. A store never sees whose bucket it counts: names are HMACs. Rules may differ in window. */
export interface QuotaStore {
  /** Charges `cost` (default 1), if there is room. @throws RangeError unless it is a whole number from 1 to the limit. */
  charge(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Awaitable<Outcome>;
  /** What `charge` would say; charges nothing. */
  peek(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Awaitable<Outcome>;
  /** Takes a charge back that was made at `chargedAtMs`. */
  refund(bucket: BucketNames, rule: QuotaRule, chargedAtMs: number, cost?: number): Awaitable<void>;
}
