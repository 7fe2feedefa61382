import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';

/** Selects reports that were made more than `ttlDays` ago, whether decided or not. */
export function oldReports(ttlDays: number): ExpiringRows {
  return {
    table: 'reports',
    isExpired: sql<boolean>`submitted_at < now() - make_interval(days => ${ttlDays}::integer)`,
    first: [{ at: sql`min(submitted_at)`, keptFor: sql`make_interval(days => ${ttlDays}::integer)` }],
  };
}
