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

/** The count of one server, compared with its share of each limit. */
export interface ServerShare {
  decide(act: 'charge' | 'peek', charge: Charge): Outcome;
  /**
   * Counts a charge that the shared store decided, and at least this server's share of the total use that the store
   * reported.
   */
  record(charge: Charge, outcome: Outcome): void;
  refund(charge: Charge): void;
}

/** Gives each of `serverCount` servers its share of a limit, rounded up. */
export function createServerShare(localOf: (rule: QuotaRule) => MemoryStore, serverCount: number): ServerShare {
  const shareOf = (rule: QuotaRule): QuotaRule => ({
    ...rule,
    limit: Math.ceil(rule.limit / serverCount),
    burst: Math.ceil(rule.burst / serverCount),
  });
  /** A cost above the share must pass at some time; it then takes the whole share. */
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
