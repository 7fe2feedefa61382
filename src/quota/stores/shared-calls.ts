import type { Clock } from '#platform/clock.ts';
import type { CircuitBreaker } from './circuit-breaker.ts';
import type { Outcome } from './gcra.ts';
import type { SharedQuotaStore } from './quota-store.ts';
import type { Charge } from './server-share.ts';
import { createTimeLimit } from './time-limit.ts';

/** Calls the shared store, ends each call in time, and tells the circuit breaker of failures. */
export interface SharedCalls {
  /** @throws the error of the store, or RangeError when the call takes too long. */
  decide(act: 'charge' | 'peek', mode: 'call' | 'probe', charge: Charge): Promise<Outcome>;
  /** Counts an admitted cost. Resolves to undefined when the store does not respond. */
  report(charge: Charge): Promise<Outcome | undefined>;
  /** Refunds a charge, unless the store does not respond. */
  refund(charge: Charge): Promise<void>;
}

export interface SharedCallsDeps {
  readonly shared: SharedQuotaStore;
  readonly clock: Clock;
  readonly breaker: CircuitBreaker;
  /** Called with each decision of the store. */
  readonly onDecided: (act: 'charge' | 'peek', charge: Charge, outcome: Outcome) => void;
}

/** Milliseconds after which a call fails and the shared store counts as unavailable. */
const storeTimeoutMs = 1_000;

export function createSharedCalls({ shared, clock, breaker, onDecided }: SharedCallsDeps): SharedCalls {
  const withTimeout = createTimeLimit(clock, storeTimeoutMs);
  return {
    async decide(act, mode, charge) {
      const { bucket, rule, nowMs, cost } = charge;
      let outcome: Outcome;
      try {
        outcome = await withTimeout(shared[act](bucket, rule, nowMs, cost));
      } catch (error) {
        breaker.failed();
        throw error;
      }
      breaker.succeeded(mode, clock.monotonicMs());
      onDecided(act, charge, outcome);
      return outcome;
    },
    async report({ bucket, rule, nowMs, cost }) {
      if (breaker.isOpen()) return undefined;
      try {
        return await withTimeout(shared.record(bucket, rule, nowMs, cost));
      } catch {
        breaker.failed();
        return undefined;
      }
    },
    async refund({ bucket, rule, nowMs, cost }) {
      if (breaker.isOpen()) return;
      try {
        await withTimeout(shared.refund(bucket, rule, nowMs, cost));
      } catch {
        breaker.failed();
      }
    },
  };
}
