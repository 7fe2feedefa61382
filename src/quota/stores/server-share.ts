import type { Outcome, QuotaRule } from './gcra.ts';
import type { MemoryStore } from './memory/memory-store.ts';
import type { BucketNames } from './quota-store.ts';

/** The parameters of one charge. */
export interface Charge {
  readonly bucket: BucketNames;
  readonly rule: QuotaRule;
  readonly nowMs: number;
  readonly cost: number;
}

/**
 * Counts the charges of one server against its share of each limit, for the time in which the shared store is
 * unavailable.
 */
export interface ServerShare {
  decide(act: 'charge' | 'peek', charge: Charge): Outcome;
  /**
   * Counts a charge on which the shared store has decided. The count becomes at least this server's share of the total
   * use that the shared store reported.
   */
  record(charge: Charge, outcome: Outcome): void;
  refund(charge: Charge): void;
}

/**
 * Creates the count of one of `serverCount` servers. The share of a server is the limit divided by the number of
 * servers, rounded up.
 */
export function createServerShare(localOf: (rule: QuotaRule) => MemoryStore, serverCount: number): ServerShare {
  const shareOf = (rule: QuotaRule): QuotaRule => ({
    ...rule,
    limit: Math.ceil(rule.limit / serverCount),
    burst: Math.ceil(rule.burst / serverCount),
  });
  /** Reduces a cost above the share to the share, because a larger cost would never be admitted. */
  const costOf = ({ rule, cost }: Charge): number => Math.min(cost, shareOf(rule).limit);
  return {
    decide(act, charge) {
      const { bucket, rule, nowMs } = charge;
      return localOf(rule)[act](bucket, shareOf(rule), nowMs, costOf(charge));
    },
    record(charge, { allowed, remaining }) {
      const { bucket, rule, nowMs } = charge;
      const used = Math.min(rule.burst, rule.limit) - remaining;
      const usedMin = Math.ceil(used / serverCount);
      localOf(rule).record(bucket, shareOf(rule), nowMs, { cost: allowed ? costOf(charge) : 0, usedMin });
    },
    refund(charge) {
      const { bucket, rule, nowMs } = charge;
      localOf(rule).refund(bucket, shareOf(rule), nowMs, costOf(charge));
    },
  };
}
