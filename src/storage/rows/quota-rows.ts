import { sql as kyselySql } from 'kysely';
import type { Sql } from '../connection/database.ts';
import type { ExpiringRows } from '../expiry/expiring-rows.ts';

/** An operation on the row of a quota bucket. The SQL function in migrations/0025 computes the result. */
export interface QuotaRowCall {
  readonly act: 'charge' | 'peek' | 'refund' | 'record';
  /** Names in hex. While the day of the names changes, the row may have the previous or the next name. */
  readonly current: string;
  readonly previous: string | undefined;
  readonly next: string | undefined;
  readonly limit: number;
  readonly burst: number;
  readonly windowMs: number;
  readonly cost: number;
  /**
   * The time of the operation in milliseconds, or of the charge that a refund returns. Undefined means now, on the
   * database's clock.
   */
  readonly atMs: number | undefined;
  /** Milliseconds since the charge that a refund without `atMs` returns. */
  readonly agoMs: number;
}

export interface QuotaRowResult {
  readonly allowed: boolean;
  readonly remaining: number;
  readonly waitMs: number;
  readonly restoredInMs: number;
}

const acts = { charge: 1, peek: 2, refund: 3, record: 4 } as const;

/**
 * Carries out all operations in one round trip. The results are in the order of `calls`, and a refund has no result.
 */
export async function callQuotaRows(
  sql: Sql,
  calls: readonly QuotaRowCall[],
): Promise<readonly (QuotaRowResult | undefined)[]> {
  // Arrays are passed as text, because postgres.js learns array types only with the first statement of a pool.
  const list = (valueOf: (call: QuotaRowCall) => number | string | undefined): string =>
    `{${calls.map((call) => valueOf(call) ?? 'NULL').join()}}`;
  const names = (nameOf: (call: QuotaRowCall) => string | undefined): string =>
    list((call) => {
      const name = nameOf(call);
      return name === undefined ? undefined : `"\\\\x${name}"`;
    });
  const rows = await sql<(QuotaRowResult & { item: number })[]>`
    SELECT item, allowed, remaining, wait_ms AS "waitMs", restored_in_ms AS "restoredInMs" FROM count_quotas(
      ${list(({ act }) => acts[act])}::text::integer[], ${names(({ current }) => current)}::text::bytea[],
      ${names(({ previous }) => previous)}::text::bytea[], ${names(({ next }) => next)}::text::bytea[],
      ${list(({ limit }) => limit)}::text::float8[], ${list(({ burst }) => burst)}::text::float8[],
      ${list(({ windowMs }) => windowMs)}::text::float8[], ${list(({ cost }) => cost)}::text::float8[],
      ${list(({ atMs }) => atMs)}::text::float8[], ${list(({ agoMs }) => agoMs)}::text::float8[])`;
  const results: (QuotaRowResult | undefined)[] = calls.map(() => undefined);
  for (const { item, ...result } of rows) results[item - 1] = result;
  return results;
}

/** Selects rows that no longer change the result of an operation. */
export const expiredQuotaRows: ExpiringRows = {
  table: 'quota_rows',
  isExpired: kyselySql<boolean>`expires_at < now()`,
  first: [{ at: kyselySql`min(expires_at)` }],
};
