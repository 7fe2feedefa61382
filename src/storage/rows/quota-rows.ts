import { sql as kyselySql } from 'kysely';
import type { Sql } from '../connection/database.ts';
import type { ExpiringRows } from '../expiry/expiring-rows.ts';

/** One operation on one row; migrations/0009 contains the arithmetic. */
export interface QuotaRowCall {
  readonly act: 'charge' | 'peek' | 'refund';
  /** Names in hex. A row may also have the previous or the next name while the day of the names changes. */
  readonly current: string;
  readonly previous: string | undefined;
  readonly next: string | undefined;
  readonly limit: number;
  readonly burst: number;
  readonly windowMs: number;
  readonly cost: number;
  /** Undefined means now, on the database's clock. For a refund: when the charge was made. */
  readonly atMs: number | undefined;
  /** For a refund without `atMs`: how many milliseconds ago the charge was made. */
  readonly agoMs: number;
}

export interface QuotaRowResult {
  readonly allowed: boolean;
  readonly remaining: number;
  readonly waitMs: number;
  readonly restoredInMs: number;
}

const acts = { charge: 1, peek: 2, refund: 3 } as const;

/** Does all operations in one round trip. Each result has the index of its call; a refund has none. */
export async function callQuotaRows(
  sql: Sql,
  calls: readonly QuotaRowCall[],
): Promise<readonly (QuotaRowResult | undefined)[]> {
  // Passed as text, because postgres.js learns array types only with the first statement of a pool.
  const list = (valueOf: (call: QuotaRowCall) => number | string | undefined): string =>
    `{${calls.map((call) => valueOf(call) ?? 'NULL').join()}}`;
  const names = (nameOf: (call: QuotaRowCall) => string | undefined): string =>
    list((call) => {
      const name = nameOf(call);
      return name === undefined ? undefined : `"\\\\x${name}"`;
    });
  const rows = await sql<(QuotaRowResult & { item: number })[]>`
    SELECT item, allowed, remaining, wait_ms AS "waitMs", restored_in_ms AS "restoredInMs" FROM charge_quotas(
      ${list(({ act }) => acts[act])}::text::integer[], ${names(({ current }) => current)}::text::bytea[],
      ${names(({ previous }) => previous)}::text::bytea[], ${names(({ next }) => next)}::text::bytea[],
      ${list(({ limit }) => limit)}::text::float8[], ${list(({ burst }) => burst)}::text::float8[],
      ${list(({ windowMs }) => windowMs)}::text::float8[], ${list(({ cost }) => cost)}::text::float8[],
      ${list(({ atMs }) => atMs)}::text::float8[], ${list(({ agoMs }) => agoMs)}::text::float8[])`;
  const results: (QuotaRowResult | undefined)[] = calls.map(() => undefined);
  for (const { item, ...result } of rows) results[item - 1] = result;
  return results;
}

/** Rows that have the same effect as a name without a row. */
export const expiredQuotaRows: ExpiringRows = {
  table: 'quota_rows',
  isExpired: kyselySql<boolean>`expires_at < now()`,
  first: [{ at: kyselySql`min(expires_at)` }],
};
