import { sql as kyselySql } from 'kysely';
import type { Sql } from '../connection/database.ts';
import type { ExpiringRows } from '../expiry/expiring-rows.ts';

/** One thing to do to one row; migrations/0009 has the arithmetic. */
export interface QuotaRowCall {
  readonly act: 'charge' | 'look' | 'give back';
  /** In hex, as are the two others, which the row may have besides while the day of the names changes. */
  readonly current: string;
  readonly former: string | undefined;
  readonly next: string | undefined;
  readonly limit: number;
  readonly burst: number;
  readonly windowMs: number;
  readonly cost: number;
  /** Undefined: now, on the database's clock. What is given back was charged then. */
  readonly atMs: number | undefined;
  /** How long ago what is given back was charged, when `atMs` does not say it. */
  readonly agoMs: number;
}

export interface QuotaRowAnswer {
  readonly allowed: boolean;
  readonly remaining: number;
  readonly waitMs: number;
  readonly restoredInMs: number;
}

const acts = { charge: 1, look: 2, 'give back': 3 } as const;

/** Does all of it in one round trip. Answers stand at the places of their calls; giving back has none. */
export async function callQuotaRows(
  sql: Sql,
  calls: readonly QuotaRowCall[],
): Promise<readonly (QuotaRowAnswer | undefined)[]> {
  // As text: postgres.js knows array types only after the first statement of a pool.
  const list = (valueOf: (call: QuotaRowCall) => number | string | undefined): string =>
    `{${calls.map((call) => valueOf(call) ?? 'NULL').join()}}`;
  const names = (nameOf: (call: QuotaRowCall) => string | undefined): string =>
    list((call) => {
      const name = nameOf(call);
      return name === undefined ? undefined : `"\\\\x${name}"`;
    });
  const rows = await sql<(QuotaRowAnswer & { item: number })[]>`
    SELECT item, allowed, remaining, wait_ms AS "waitMs", restored_in_ms AS "restoredInMs" FROM charge_quotas(
      ${list(({ act }) => acts[act])}::text::integer[], ${names(({ current }) => current)}::text::bytea[],
      ${names(({ former }) => former)}::text::bytea[], ${names(({ next }) => next)}::text::bytea[],
      ${list(({ limit }) => limit)}::text::float8[], ${list(({ burst }) => burst)}::text::float8[],
      ${list(({ windowMs }) => windowMs)}::text::float8[], ${list(({ cost }) => cost)}::text::float8[],
      ${list(({ atMs }) => atMs)}::text::float8[], ${list(({ agoMs }) => agoMs)}::text::float8[])`;
  const answers: (QuotaRowAnswer | undefined)[] = calls.map(() => undefined);
  for (const { item, ...answer } of rows) answers[item - 1] = answer;
  return answers;
}

/** Rows that say nothing which an unknown name would not say. */
export const expiredQuotaRows: ExpiringRows = {
  table: 'quota_rows',
  isExpired: kyselySql<boolean>`expires_at < now()`,
  first: [{ at: kyselySql`min(expires_at)` }],
};
