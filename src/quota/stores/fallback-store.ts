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
  /** The store that counts for all servers. Its calls may fail or never return. */
  readonly shared: QuotaStore;
  /**
   * Returns the local store of a rule. This store also counts the charges that the shared store admitted, so that it
   * has the charges of the last window when an outage begins.
   */
  readonly localOf: (rule: QuotaRule) => MemoryStore;
  readonly clock: Clock;
  /**
   * The number of servers that share the store. During an outage each server admits its share of a limit, rounded up.
   */
  readonly serverCount: number;
  /** Called each time the shared store becomes unavailable or available again. */
  readonly onChange: (state: StoreState) => void;
}

/** Milliseconds after which a call fails and the shared store counts as unavailable. */
const storeTimeoutMs = 1_000;
const refusedBucketsMax = 10_000;

type Act = 'charge' | 'peek';

interface SharedParts extends Pick<FallbackDeps, 'shared' | 'clock'> {
  readonly breaker: CircuitBreaker;
  readonly refused: RefusedBuckets;
  readonly withTimeout: ReturnType<typeof createTimeLimit>;
}

/**
 * Creates a quota store that enforces limits even while the shared store is unavailable, because each server then
 * counts its charges against its share of each limit. For one window after recovery a charge needs room in both counts,
 * because the shared store lacks the charges of the outage.
 */
export function createFallbackStore(deps: FallbackDeps): QuotaStore {
  const { shared, clock } = deps;
  const local = createServerShare(deps.localOf, deps.serverCount);
  const refused = createRefusedBuckets(refusedBucketsMax);
  const breaker = createCircuitBreaker(deps.onChange);
  const parts = { shared, breaker, refused, clock, withTimeout: createTimeLimit(clock, storeTimeoutMs) };
  const callShared = (act: Act, mode: 'call' | 'probe', charge: Charge): Promise<Outcome> =>
    callInTime(parts, { act, mode, charge });

  /** Charges the shared store only, and records the result in the local store for a later outage. */
  async function chargeShared(act: Act, charge: Charge): Promise<Outcome> {
    try {
      const outcome = await callShared(act, 'call', charge);
      if (act === 'charge') local.record({ ...charge, nowMs: clock.monotonicMs() }, outcome);
      return outcome;
    } catch {
      return local.decide(act, { ...charge, nowMs: clock.monotonicMs() });
    }
  }

  /** Admits a charge if both stores have room. When the local store refuses, a probe only peeks at the shared store. */
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
 * Calls the shared store and reports to the circuit breaker whether the call succeeded.
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
