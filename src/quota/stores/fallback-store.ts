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
import type { QuotaStore, SharedQuotaStore } from './quota-store.ts';
import { createTimeLimit } from './time-limit.ts';
import { createUnreportedCharges } from './unreported-charges.ts';
import type { UnreportedCharges } from './unreported-charges.ts';

export interface FallbackDeps {
  /** The store that counts for all servers. Its calls may fail or never return. */
  readonly shared: SharedQuotaStore;
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
  readonly unreported: Pick<UnreportedCharges, 'note'>;
  readonly breaker: CircuitBreaker;
  readonly refused: RefusedBuckets;
  readonly withTimeout: ReturnType<typeof createTimeLimit>;
}

/**
 * Creates a quota store that asks the shared store about buckets with little room, and reports the charges of the others
 * later. It enforces limits even while the shared store is unavailable, because each server then counts its charges
 * against its share of each limit. For one window after recovery a charge needs room in both counts,
 * because the shared store lacks the charges of the outage.
 */
export function createFallbackStore(deps: FallbackDeps): QuotaStore {
  const { shared, clock } = deps;
  const local = createServerShare(deps.localOf, deps.serverCount);
  const refused = createRefusedBuckets(refusedBucketsMax);
  const breaker = createCircuitBreaker(deps.onChange);
  const unreported = createUnreportedCharges({ clock, serverCount: deps.serverCount, report });
  const withTimeout = createTimeLimit(clock, storeTimeoutMs);
  const parts: SharedParts = { shared, breaker, refused, unreported, clock, withTimeout };
  const callShared = (act: Act, mode: 'call' | 'probe', charge: Charge): Promise<Outcome> =>
    callInTime(parts, { act, mode, charge });

  async function report({ bucket, rule, nowMs, cost }: Charge): Promise<Outcome | undefined> {
    if (breaker.isOpen()) return undefined;
    try {
      return await withTimeout(shared.record(bucket, rule, nowMs, cost));
    } catch {
      breaker.failed();
      return undefined;
    }
  }

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
    if (breaker.mayLackCharges(nowMs, rule.windowMs)) return chargeBoth(act, mode, charge);
    const admitted = unreported.admit(act, charge);
    if (admitted === undefined) return chargeShared(act, charge);
    if (act === 'charge') local.record(charge, admitted);
    return admitted;
  }

  return {
    charge: (bucket, rule, nowMs, cost = 1) => decide('charge', { bucket, rule, nowMs, cost }),
    peek: (bucket, rule, nowMs, cost = 1) => decide('peek', { bucket, rule, nowMs, cost }),
    async refund(bucket, rule, chargedAtMs, cost = 1) {
      const charge = { bucket, rule, nowMs: chargedAtMs, cost };
      refused.remove(bucket.current);
      local.refund(charge);
      const reported = unreported.refund(charge);
      if (reported === 0 || breaker.isOpen()) return;
      try {
        await withTimeout(shared.refund(bucket, rule, chargedAtMs, reported));
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
  { shared, clock, breaker, refused, unreported, withTimeout }: SharedParts,
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
  unreported.note(charge, outcome);
  if (act === 'charge' && !outcome.allowed) refused.add(bucket.current, cost, clock.monotonicMs(), outcome);
  return outcome;
}
