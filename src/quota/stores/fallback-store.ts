import type { Clock } from '#platform/clock.ts';
import type { Awaitable } from '../table/decision.ts';
import { assertCost } from './gcra.ts';
import type { Outcome, QuotaRule } from './gcra.ts';
import { createServerShare } from './server-share.ts';
import type { Charge, ServerShare } from './server-share.ts';
import { createSharedCalls } from './shared-calls.ts';
import type { SharedCalls } from './shared-calls.ts';
import type { MemoryStore } from './memory/memory-store.ts';
import { createRefusedBuckets } from './refused-buckets.ts';
import { createCircuitBreaker } from './circuit-breaker.ts';
import type { StoreState } from './circuit-breaker.ts';
import type { QuotaStore, SharedQuotaStore } from './quota-store.ts';
import { createUnreportedCharges } from './unreported-charges.ts';

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

const refusedBucketsMax = 10_000;

type Act = 'charge' | 'peek';

interface Counts {
  readonly clock: Clock;
  readonly local: ServerShare;
  readonly calls: SharedCalls;
}

/**
 * Creates a quota store that asks the shared store about buckets with little room, and reports the charges of the others
 * later. It enforces limits even while the shared store is unavailable, because each server then counts its charges
 * against its share of each limit. For one window after recovery a charge needs room in both counts, because the shared
 * store lacks the charges of the outage.
 */
export function createFallbackStore({ shared, clock, serverCount, localOf, onChange }: FallbackDeps): QuotaStore {
  const local = createServerShare(localOf, serverCount);
  const refused = createRefusedBuckets(refusedBucketsMax);
  const breaker = createCircuitBreaker(onChange);
  const calls = createSharedCalls({ shared, clock, breaker, onDecided });
  const unreported = createUnreportedCharges({ clock, serverCount, report: (charge) => calls.report(charge) });
  const counts: Counts = { clock, local, calls };

  function onDecided(act: Act, charge: Charge, outcome: Outcome): void {
    unreported.note(charge, outcome);
    if (act === 'charge' && !outcome.allowed) {
      refused.add(charge.bucket.current, charge.cost, clock.monotonicMs(), outcome);
    }
  }

  function decide(act: Act, charge: Charge): Awaitable<Outcome> {
    const { bucket, rule, nowMs, cost } = charge;
    assertCost(rule, cost);
    const refusal = refused.find(bucket.current, cost, nowMs);
    if (refusal !== undefined) return refusal;
    const mode = breaker.next(nowMs);
    if (mode === 'skip') return local.decide(act, charge);
    if (breaker.mayLackCharges(nowMs, rule.windowMs)) return chargeBoth(counts, act, mode, charge);
    const admitted = unreported.admit(act, charge);
    if (admitted === undefined) return chargeShared(counts, act, charge);
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
      if (reported > 0) await calls.refund({ ...charge, cost: reported });
    },
  };
}

/** Charges the shared store only, and records the result in the local store for a later outage. */
async function chargeShared({ clock, local, calls }: Counts, act: Act, charge: Charge): Promise<Outcome> {
  try {
    const outcome = await calls.decide(act, 'call', charge);
    if (act === 'charge') local.record({ ...charge, nowMs: clock.monotonicMs() }, outcome);
    return outcome;
  } catch {
    return local.decide(act, { ...charge, nowMs: clock.monotonicMs() });
  }
}

/** Admits a charge if both stores have room. When the local store refuses, a probe only peeks at the shared store. */
async function chargeBoth(
  { local, calls }: Counts,
  act: Act,
  mode: 'call' | 'probe',
  charge: Charge,
): Promise<Outcome> {
  const own = local.decide(act, charge);
  if (!own.allowed && mode === 'call') return own;
  try {
    const outcome = await calls.decide(own.allowed ? act : 'peek', mode, charge);
    if (!own.allowed) return own;
    if (outcome.allowed) return { ...outcome, remaining: Math.min(outcome.remaining, own.remaining) };
    if (act === 'charge') local.refund(charge);
    return outcome;
  } catch {
    return own;
  }
}
