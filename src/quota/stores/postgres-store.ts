import { createBatcher } from '#platform/batcher.ts';
import type { Clock } from '#platform/clock.ts';
import { InvariantError } from '#platform/errors.ts';
import type { Sql } from '#storage/connection/database.ts';
import { callQuotaRows } from '#storage/rows/quota-rows.ts';
import type { QuotaRowResult, QuotaRowCall } from '#storage/rows/quota-rows.ts';
import { assertCost } from './gcra.ts';
import type { Outcome, QuotaRule } from './gcra.ts';
import type { BucketNames, SharedQuotaStore } from './quota-store.ts';

export interface PostgresStoreDeps {
  readonly sql: Sql;
  readonly clock: Clock;
  /**
   * The clock that times the charges. Several servers need `database`, because their clocks differ; `caller` lets tests
   * pass the times.
   */
  readonly timeOf: 'database' | 'caller';
}

/**
 * Counts charges in Postgres for all servers together. Bucket names are hex, and every method rejects when the database
 * fails.
 */
export interface PostgresStore extends SharedQuotaStore {
  charge(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Promise<Outcome>;
  peek(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Promise<Outcome>;
  refund(bucket: BucketNames, rule: QuotaRule, chargedAtMs: number, cost?: number): Promise<void>;
}

/** Creates a store that collects the calls made while a statement runs and sends them in the next statement. */
export function createPostgresStore(deps: PostgresStoreDeps): PostgresStore {
  const call = createBatcher((calls: readonly QuotaRowCall[]) => callQuotaRows(deps.sql, calls));

  function callRow(
    act: QuotaRowCall['act'],
    { current, previous, next }: BucketNames,
    { limit, burst, windowMs }: QuotaRule,
    charge: { readonly atMs: number; readonly cost: number },
  ): Promise<QuotaRowResult | undefined> {
    const isGiven = deps.timeOf === 'caller';
    const atMs = isGiven ? charge.atMs : undefined;
    const agoMs = isGiven || act !== 'refund' ? 0 : Math.max(0, deps.clock.monotonicMs() - charge.atMs);
    return call({ act, current, previous, next, limit, burst, windowMs, cost: charge.cost, atMs, agoMs });
  }

  async function outcomeOf(
    act: 'charge' | 'peek' | 'record',
    bucket: BucketNames,
    rule: QuotaRule,
    charge: { readonly atMs: number; readonly cost: number },
  ): Promise<Outcome> {
    assertCost(rule, charge.cost);
    const outcome = await callRow(act, bucket, rule, charge);
    if (outcome === undefined) throw new InvariantError('a charge has no result');
    return outcome;
  }

  return {
    charge: (bucket, rule, atMs, cost = 1) => outcomeOf('charge', bucket, rule, { atMs, cost }),
    peek: (bucket, rule, atMs, cost = 1) => outcomeOf('peek', bucket, rule, { atMs, cost }),
    record: (bucket, rule, atMs, cost) => outcomeOf('record', bucket, rule, { atMs, cost }),
    async refund(bucket, rule, atMs, cost = 1) {
      await callRow('refund', bucket, rule, { atMs, cost });
    },
  };
}
