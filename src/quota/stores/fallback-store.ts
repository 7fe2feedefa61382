import type { Clock } from '#platform/clock.ts';
import type { Awaitable } from '../table/decision.ts';
import { assertCost } from './gcra.ts';
import type { Outcome, QuotaRule } from './gcra.ts';
import { createServerShare } from './server-share.ts';
import type { Charge } from './server-share.ts';
import type { MemoryStore } from './memory/memory-store.ts';
import { createRefusedBuckets } from './refused-buckets.ts';
import type { RefusedBuckets } from './refused-buckets.ts';
import { createCircuitBreaker } from './circuit-breaker.ts';
import type { CircuitBreaker, StoreState } from './circuit-breaker.ts';
import type { QuotaStore } from './quota-store.ts';
import { createTimeLimit } from './time-limit.ts';

export interface FallbackDeps {
  /** Counts for all servers; may fail, or may not respond. */
  readonly shared: QuotaStore;
  /**
   * The local store of a rule, which also counts what the shared store admitted, so that it has the last window during
   * an outage.
   */
  readonly localOf: (rule: QuotaRule) => MemoryStore;
  readonly clock: Clock;
  /** The number of servers that share the store; each admits its share of a limit, rounded up, during an outage. */
  readonly serverCount: number;
  /** Called once per change. */
  readonly onChange: (state: StoreState) => void;
}

/** After this time the store counts as unavailable, for this request and for the next second. */
const storeTimeoutMs = 1_000;
const refusedBucketsMax = 10_000;

type Act = 'charge' | 'peek';

interface SharedParts extends Pick<FallbackDeps, 'shared' | 'clock'> {
  readonly breaker: CircuitBreaker;
  readonly refused: RefusedBuckets;
  readonly withTimeout: ReturnType<typeof createTimeLimit>;
}

/**
 * A quota store that never fails open: while the shared store is unavailable, each server charges its own count,
 * against its share of the limit; for one window after recovery both counts must have room. A refused bucket is not
 * requested again before its wait ends. The result never admits more than two healthy servers would, apart from charges
 * that they could not have exchanged.
 */
export function createFallbackStore(deps: FallbackDeps): QuotaStore {
  const { shared, clock } = deps;
  const local = createServerShare(deps.localOf, deps.serverCount);
  const refused = createRefusedBuckets(refusedBucketsMax);
  const breaker = createCircuitBreaker(deps.onChange);
  const parts = { shared, breaker, refused, clock, withTimeout: createTimeLimit(clock, storeTimeoutMs) };
  const callShared = (act: Act, mode: 'call' | 'probe', charge: Charge): Promise<Outcome> =>
    callInTime(parts, { act, mode, charge });

  /** Charges the shared count alone, and records the result in the local one. */
  async function chargeShared(act: Act, charge: Charge): Promise<Outcome> {
    try {
      const outcome = await callShared(act, 'call', charge);
      if (act === 'charge') local.record({ ...charge, nowMs: clock.monotonicMs() }, outcome);
      return outcome;
    } catch {
      return local.decide(act, { ...charge, nowMs: clock.monotonicMs() });
    }
  }

  /** Both counts must have room. A probe always calls the shared store, but only peeks when the local count refuses. */
  async function chargeBoth(act: Act, mode: 'call' | 'probe', charge: Charge): Promise<Outcome> {
    const own = local.decide(act, charge);
    if (!own.allowed && mode === 'call') return own;
    try {
      const outcome = await callShared(own.allowed ? act : 'peek', mode, charge);
      if (!own.allowed) return own;
      if (outcome.allowed) return { ...outcome, remaining: Math.min(outcome.remaining, own.remaining) };
      if (act === 'charge') local.refund(charge);
      return outcome;
    } catch {
      return own;
    }
  }

  function decide(act: Act, charge: Charge): Awaitable<Outcome> {
    const { bucket, rule, nowMs, cost } = charge;
    assertCost(rule, cost);
    const refusal = refused.find(bucket.current, cost, nowMs);
    if (refusal !== undefined) return refusal;
    const mode = breaker.next(nowMs);
    if (mode === 'skip') return local.decide(act, charge);
    return breaker.mayLackCharges(nowMs, rule.windowMs) ? chargeBoth(act, mode, charge) : chargeShared(act, charge);
  }

  return {
    charge: (bucket, rule, nowMs, cost = 1) => decide('charge', { bucket, rule, nowMs, cost }),
    peek: (bucket, rule, nowMs, cost = 1) => decide('peek', { bucket, rule, nowMs, cost }),
    async refund(bucket, rule, chargedAtMs, cost = 1) {
      refused.remove(bucket.current);
      local.refund({ bucket, rule, nowMs: chargedAtMs, cost });
      if (breaker.isOpen()) return;
      try {
        await parts.withTimeout(shared.refund(bucket, rule, chargedAtMs, cost));
      } catch {
        breaker.failed();
      }
    },
  };
}

/**
 * Calls the shared store and reports the result to the breaker.
 * @throws the error of the store, or RangeError when the call takes too long.
 */
async function callInTime(
  { shared, clock, breaker, refused, withTimeout }: SharedParts,
  { act, mode, charge }: { readonly act: Act; readonly mode: 'call' | 'probe'; readonly charge: Charge },
): Promise<Outcome> {
  const { bucket, rule, nowMs, cost } = charge;
  let outcome: Outcome;
  try {
    outcome = await withTimeout(shared[act](bucket, rule, nowMs, cost));
  } catch (error) {
    breaker.failed();
    throw error;
  }
  breaker.succeeded(mode, clock.monotonicMs());
  if (act === 'charge' && !outcome.allowed) refused.add(bucket.current, cost, clock.monotonicMs(), outcome);
  return outcome;
}
