import type { Clock } from '#platform/clock.ts';
import { createExpiryTimer } from '#platform/expiry-timer.ts';
import { runOutsideRequest } from '#platform/request-context.ts';
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
/** Buckets of which a server keeps the state. It asks the store for each charge of further ones. */
const bucketsMax = 10_000;

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
export function createUnreportedCharges(deps: UnreportedChargesDeps): UnreportedCharges {
  return new ChargesToReport(deps);
}

class ChargesToReport implements UnreportedCharges {
  readonly #deps: UnreportedChargesDeps;
  /** In the order of `atMs`, the oldest first. */
  readonly #states = new Map<string, BucketState>();
  readonly #waiting = new Set<BucketState>();
  readonly #startTimer: () => void;

  constructor(deps: UnreportedChargesDeps) {
    this.#deps = deps;
    this.#startTimer = createExpiryTimer({
      clock: deps.clock,
      intervalMs: reportIntervalMs,
      isNeeded: () => this.#waiting.size > 0,
      expire: () => {
        for (const state of this.#waiting) void this.#report(state);
        this.#deleteOldStates();
      },
    });
  }

  admit(act: 'charge' | 'peek', { bucket, rule, nowMs, cost }: Charge): Outcome | undefined {
    const state = this.#states.get(bucket.current);
    if (state === undefined || nowMs - state.atMs > stateAgeMsMax) return undefined;
    const reserved = unreportedShareMax * Math.min(rule.limit, rule.burst);
    const unreported = state.unreported + state.reporting + cost;
    const remaining = state.remaining - unreported;
    if (unreported > reserved / this.#deps.serverCount || remaining < reserved) {
      // The report shares the statement of the charge for which the caller now asks the store.
      runOutsideRequest(() => void this.#report(state));
      return undefined;
    }
    if (act === 'charge') {
      state.unreported += cost;
      this.#waiting.add(state);
      this.#startTimer();
    }
    return { allowed: true, remaining, waitMs: 0, restoredInMs: rule.windowMs };
  }

  note({ bucket, rule }: Charge, { remaining }: Outcome): void {
    const state = this.#states.get(bucket.current);
    const atMs = this.#deps.clock.monotonicMs();
    if (state !== undefined) this.#update(state, remaining);
    else if (this.#states.size < bucketsMax) {
      this.#states.set(bucket.current, { bucket, rule, remaining, atMs, unreported: 0, reporting: 0 });
    } else this.#deleteOldStates();
  }

  refund({ bucket, cost }: Charge): number {
    const state = this.#states.get(bucket.current);
    if (state === undefined) return cost;
    const taken = Math.min(cost, state.unreported);
    state.unreported -= taken;
    return cost - taken;
  }

  async #report(state: BucketState): Promise<void> {
    const { bucket, rule, unreported: cost } = state;
    this.#waiting.delete(state);
    if (cost === 0) return;
    state.unreported = 0;
    state.reporting += cost;
    const outcome = await this.#deps.report({ bucket, rule, nowMs: this.#deps.clock.monotonicMs(), cost });
    state.reporting -= cost;
    if (outcome === undefined) this.#states.delete(bucket.current);
    else this.#update(state, outcome.remaining);
  }

  #update(state: BucketState, remaining: number): void {
    const name = state.bucket.current;
    state.remaining = remaining;
    state.atMs = this.#deps.clock.monotonicMs();
    this.#states.delete(name);
    this.#states.set(name, state);
  }

  #deleteOldStates(): void {
    const oldestMs = this.#deps.clock.monotonicMs() - stateAgeMsMax;
    for (const [name, state] of this.#states) {
      if (state.atMs > oldestMs) return;
      if (state.unreported + state.reporting === 0) this.#states.delete(name);
    }
  }
}
