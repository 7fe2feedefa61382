import type { Clock } from '#platform/clock.ts';
import { createExpiryTimer } from '#platform/expiry-timer.ts';
import { runOutsideRequest } from '#platform/request-deadline.ts';
import type { Outcome, QuotaRule } from './gcra.ts';
import type { BucketNames } from './quota-store.ts';
import type { Charge } from './server-share.ts';

/**
 * Admits charges of buckets that have much room without a call to the shared store, and reports their sum to the store
 * later. `docs/decisions/0033` shows why all servers together admit at most a twentieth more than a limit.
 */
export interface UnreportedCharges {
  /** Admits a charge, or returns undefined when the shared store must decide. */
  admit(act: 'charge' | 'peek', charge: Charge): Outcome | undefined;
  /** Notes what the shared store returned about the bucket of `charge`. */
  note(charge: Charge, outcome: Outcome): void;
  /** Refunds a charge that is not reported yet. @returns the cost that the shared store must refund. */
  refund(charge: Charge): number;
}

export interface UnreportedChargesDeps {
  readonly clock: Clock;
  /** The number of servers that share the store. */
  readonly serverCount: number;
  /** Reports a cost to the shared store. Resolves to undefined when the store did not respond. */
  readonly report: (charge: Charge) => Promise<Outcome | undefined>;
}

/** The share of a limit that all servers together may have admitted without a report, and that stays for exact counts. */
const unreportedShareMax = 0.05;
const reportIntervalMs = 2_000;
/** A state of the shared store that is older than this is not used. */
const stateAgeMsMax = 60_000;
const bucketsMax = 50_000;

/** What one server knows about a bucket of the shared store. */
interface BucketState {
  readonly bucket: BucketNames;
  readonly rule: QuotaRule;
  remaining: number;
  atMs: number;
  /** The cost that was admitted since the last report. */
  unreported: number;
  /** The cost of the report that runs. */
  reporting: number;
}

/** Creates the charges of one server that wait for their report. One timer reports all buckets together. */
export function createUnreportedCharges({ clock, serverCount, report }: UnreportedChargesDeps): UnreportedCharges {
  // In the order of `atMs`, the oldest first.
  const states = new Map<string, BucketState>();
  const withUnreported = new Set<BucketState>();
  const startTimer = createExpiryTimer({
    clock,
    intervalMs: reportIntervalMs,
    isNeeded: () => withUnreported.size > 0,
    expire: () => {
      for (const state of withUnreported) void reportCost(state);
      deleteOldStates();
    },
  });

  async function reportCost(state: BucketState): Promise<void> {
    const { bucket, rule, unreported: cost } = state;
    withUnreported.delete(state);
    if (cost === 0) return;
    state.unreported = 0;
    state.reporting += cost;
    const outcome = await report({ bucket, rule, nowMs: clock.monotonicMs(), cost });
    state.reporting -= cost;
    if (outcome === undefined) states.delete(bucket.current);
    else update(state, outcome.remaining);
  }

  function update(state: BucketState, remaining: number): void {
    const name = state.bucket.current;
    state.remaining = remaining;
    state.atMs = clock.monotonicMs();
    states.delete(name);
    states.set(name, state);
  }

  function deleteOldStates(): void {
    const oldestMs = clock.monotonicMs() - stateAgeMsMax;
    for (const [name, state] of states) {
      if (state.atMs > oldestMs) return;
      if (state.unreported + state.reporting === 0) states.delete(name);
    }
  }

  return {
    admit(act, { bucket, rule, nowMs, cost }) {
      const state = states.get(bucket.current);
      if (state === undefined || nowMs - state.atMs > stateAgeMsMax) return undefined;
      const reserved = unreportedShareMax * Math.min(rule.limit, rule.burst);
      const waiting = state.unreported + state.reporting + cost;
      const remaining = state.remaining - waiting;
      if (waiting > reserved / serverCount || remaining < reserved) {
        // The report shares the statement of the charge for which the caller now asks the store.
        runOutsideRequest(() => void reportCost(state));
        return undefined;
      }
      if (act === 'charge') {
        state.unreported += cost;
        withUnreported.add(state);
        // A report serves many requests, so it must not end with the deadline of the first.
        runOutsideRequest(startTimer);
      }
      return { allowed: true, remaining, waitMs: 0, restoredInMs: rule.windowMs };
    },
    note({ bucket, rule }, { remaining }) {
      const state = states.get(bucket.current);
      if (state !== undefined) update(state, remaining);
      else if (states.size < bucketsMax) {
        states.set(bucket.current, { bucket, rule, remaining, atMs: clock.monotonicMs(), unreported: 0, reporting: 0 });
      } else deleteOldStates();
    },
    refund({ bucket, cost }) {
      const state = states.get(bucket.current);
      if (state === undefined) return cost;
      const taken = Math.min(cost, state.unreported);
      state.unreported -= taken;
      return cost - taken;
    },
  };
}
