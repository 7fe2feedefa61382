import type { Awaitable } from './decision.ts';
import type { Outcome, QuotaRule } from './gcra.ts';

/** Names of one bucket. While the salt of the names changes, a bucket may still be found under its former name. */
export interface BucketNames {
  readonly current: string;
  readonly former: string | undefined;
}

/** Where charges are counted. A store never sees whose bucket it counts: names are HMACs. */
export interface QuotaStore {
  charge(bucket: BucketNames, rule: QuotaRule, nowMs: number): Awaitable<Outcome>;
  giveBack(bucket: BucketNames, rule: QuotaRule, nowMs: number): Awaitable<void>;
}
