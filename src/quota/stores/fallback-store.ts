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
  /** Counts for all servers; may fail or hang. */
  readonly shared: QuotaStore;
  /** Where this server counts what it admitted under a rule, so that it knows the last window when the shared store is gone. */
  readonly localOf: (rule: QuotaRule) => MemoryStore;
  readonly clock: Clock;
  /** How many servers share the store; each admits its part of a limit, rounded up, while it is gone. */
  readonly serverCount: number;
  /** Called once for each change. */
  readonly onChange: (state: StoreState) => void;
}

/** A store that has not answered by then counts as gone, for this request and for the next second. */
const storeTimeoutMs = 1_000;
const refusedBucketsMax = 10_000;

type Act = 'charge' | 'peek';

interface SharedParts extends Pick<FallbackDeps, 'shared' | 'clock'> {
  readonly breaker: CircuitBreaker;
  readonly refused: RefusedBuckets;
  readonly inTime: ReturnType<typeof createTimeLimit>;
}

/**
 * A shared store that is never open: while it is gone, each server charges its own count, at its part of the limit; for
 * one window after its return both counts must have room. Whoever was refused is not asked for again before the wait is
 * over. All of it only ever admits less than two healthy servers would, but for what they could not know of each other.
 */
export function createFallbackStore(deps: FallbackDeps): QuotaStore {
  const { shared, clock } = deps;
  const local = createServerShare(deps.localOf, deps.serverCount);
  const refused = createRefusedBuckets(refusedBucketsMax);
  const breaker = createCircuitBreaker(deps.onChange);
  const parts = { shared, breaker, refused, clock, inTime: createTimeLimit(clock, storeTimeoutMs) };
  const askShared = (act: Act, asked: 'ask' | 'probe', charge: Charge): Promise<Outcome> =>
    askInTime(parts, { act, asked, charge });

  /** The shared count alone; the local one is told. */
  async function askOne(act: Act, charge: Charge): Promise<Outcome> {
    try {
      const outcome = await askShared(act, 'ask', charge);
      if (act === 'charge') local.note({ ...charge, nowMs: clock.monotonicMs() }, outcome);
      return outcome;
    } catch {
      return local.ask(act, { ...charge, nowMs: clock.monotonicMs() });
    }
  }

  /** Both counts must have room. A probe asks the shared one in any case, but charges nothing for a caller refused here. */
  async function askBoth(act: Act, asked: 'ask' | 'probe', charge: Charge): Promise<Outcome> {
    const own = local.ask(act, charge);
    if (!own.allowed && asked === 'ask') return own;
    try {
      const outcome = await askShared(own.allowed ? act : 'peek', asked, charge);
      if (!own.allowed) return own;
      if (outcome.allowed) return { ...outcome, remaining: Math.min(outcome.remaining, own.remaining) };
      if (act === 'charge') local.refund(charge);
      return outcome;
    } catch {
      return own;
    }
  }

  function ask(act: Act, charge: Charge): Awaitable<Outcome> {
    const { bucket, rule, nowMs, cost } = charge;
    assertCost(rule, cost);
    const refusal = refused.find(bucket.current, cost, nowMs);
    if (refusal !== undefined) return refusal;
    const asked = breaker.next(nowMs);
    if (asked === 'skip') return local.ask(act, charge);
    return breaker.isDoubtful(nowMs, rule.windowMs) ? askBoth(act, asked, charge) : askOne(act, charge);
  }

  return {
    charge: (bucket, rule, nowMs, cost = 1) => ask('charge', { bucket, rule, nowMs, cost }),
    peek: (bucket, rule, nowMs, cost = 1) => ask('peek', { bucket, rule, nowMs, cost }),
    async refund(bucket, rule, chargedAtMs, cost = 1) {
      refused.remove(bucket.current);
      local.refund({ bucket, rule, nowMs: chargedAtMs, cost });
      if (breaker.isBroken()) return;
      try {
        await parts.inTime(shared.refund(bucket, rule, chargedAtMs, cost));
      } catch {
        breaker.failed();
      }
    },
  };
}

/** @throws whatever the store throws, or RangeError when it takes too long; the breaker then knows. */
async function askInTime(
  { shared, clock, breaker, refused, inTime }: SharedParts,
  { act, asked, charge }: { readonly act: Act; readonly asked: 'ask' | 'probe'; readonly charge: Charge },
): Promise<Outcome> {
  const { bucket, rule, nowMs, cost } = charge;
  let outcome: Outcome;
  try {
    outcome = await inTime(shared[act](bucket, rule, nowMs, cost));
  } catch (error) {
    breaker.failed();
    throw error;
  }
  breaker.succeeded(asked, clock.monotonicMs());
  if (act === 'charge' && !outcome.allowed) refused.add(bucket.current, cost, clock.monotonicMs(), outcome);
  return outcome;
}
