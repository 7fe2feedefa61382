import { createBatcher } from '#platform/batcher.ts';
import type { Clock } from '#platform/clock.ts';
import { InvariantError } from '#platform/errors.ts';
import type { Sql } from '#storage/connection/database.ts';
import { callQuotaRows } from '#storage/rows/quota-rows.ts';
import type { QuotaRowAnswer, QuotaRowCall } from '#storage/rows/quota-rows.ts';
import { assertCost } from './gcra.ts';
import type { Outcome, QuotaRule } from './gcra.ts';
import type { BucketNames, QuotaStore } from './quota-store.ts';

export interface PostgresStoreDeps {
  readonly sql: Sql;
  readonly clock: Clock;
  /**
   * Whose time counts. Servers' clocks differ, so `database` is the one that is right for more than one; `caller` takes
   * the times that are passed, for tests.
   */
  readonly timeOf: 'database' | 'caller';
}

/** Charges counted in Postgres, for all servers together. Names are hex. Everything rejects when the database fails. */
export interface PostgresStore extends QuotaStore {
  charge(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Promise<Outcome>;
  peek(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Promise<Outcome>;
  refund(bucket: BucketNames, rule: QuotaRule, chargedAtMs: number, cost?: number): Promise<void>;
}

/** What is asked while a statement runs goes into the next one together. */
export function createPostgresStore(deps: PostgresStoreDeps): PostgresStore {
  const call = createBatcher((calls: readonly QuotaRowCall[]) => callQuotaRows(deps.sql, calls));

  function ask(
    act: QuotaRowCall['act'],
    { current, former, next }: BucketNames,
    { limit, burst, windowMs }: QuotaRule,
    charge: { readonly atMs: number; readonly cost: number },
  ): Promise<QuotaRowAnswer | undefined> {
    const isTold = deps.timeOf === 'caller';
    const atMs = isTold ? charge.atMs : undefined;
    const agoMs = isTold || act !== 'give back' ? 0 : Math.max(0, deps.clock.monotonicMs() - charge.atMs);
    return call({ act, current, former, next, limit, burst, windowMs, cost: charge.cost, atMs, agoMs });
  }

  async function outcomeOf(
    act: 'charge' | 'look',
    bucket: BucketNames,
    rule: QuotaRule,
    charge: { readonly atMs: number; readonly cost: number },
  ): Promise<Outcome> {
    assertCost(rule, charge.cost);
    const outcome = await ask(act, bucket, rule, charge);
    if (outcome === undefined) throw new InvariantError('a charge without an answer');
    return outcome;
  }

  return {
    charge: (bucket, rule, atMs, cost = 1) => outcomeOf('charge', bucket, rule, { atMs, cost }),
    peek: (bucket, rule, atMs, cost = 1) => outcomeOf('look', bucket, rule, { atMs, cost }),
    async refund(bucket, rule, atMs, cost = 1) {
      await ask('give back', bucket, rule, { atMs, cost });
    },
  };
}
