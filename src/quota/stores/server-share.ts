import type { Outcome, QuotaRule } from './gcra.ts';
import type { MemoryStore } from './memory/memory-store.ts';
import type { BucketNames } from './quota-store.ts';

/** A charge that a store is asked for. */
export interface Charge {
  readonly bucket: BucketNames;
  readonly rule: QuotaRule;
  readonly nowMs: number;
  readonly cost: number;
}

/** One server's count of what it admitted, held against its part of each limit. */
export interface ServerShare {
  ask(act: 'charge' | 'peek', charge: Charge): Outcome;
  /** Counts a charge that the shared store decided, and this server's part of what all have used by its answer. */
  note(charge: Charge, outcome: Outcome): void;
  refund(charge: Charge): void;
}

/** Each of `serverCount` servers has its part of a limit, rounded up. */
export function createServerShare(localOf: (rule: QuotaRule) => MemoryStore, serverCount: number): ServerShare {
  const partOf = (rule: QuotaRule): QuotaRule => ({
    ...rule,
    limit: Math.ceil(rule.limit / serverCount),
    burst: Math.ceil(rule.burst / serverCount),
  });
  /** What costs more than the part has to pass at some time; it then takes all of it. */
  const costOf = ({ rule, cost }: Charge): number => Math.min(cost, partOf(rule).limit);
  return {
    ask(act, charge) {
      const { bucket, rule, nowMs } = charge;
      return localOf(rule)[act](bucket, partOf(rule), nowMs, costOf(charge));
    },
    note(charge, { allowed, remaining }) {
      const { bucket, rule, nowMs } = charge;
      const used = Math.min(rule.burst, rule.limit) - remaining;
      const usedMin = Math.ceil(used / serverCount);
      localOf(rule).note(bucket, partOf(rule), nowMs, { cost: allowed ? costOf(charge) : 0, usedMin });
    },
    refund(charge) {
      const { bucket, rule, nowMs } = charge;
      localOf(rule).refund(bucket, partOf(rule), nowMs, costOf(charge));
    },
  };
}
