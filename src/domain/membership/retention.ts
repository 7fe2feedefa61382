import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';

/** Defines the expired removal counts, which are those for days more than `ttlDays` ago. */
export function oldRemovalCounts(ttlDays: number): ExpiringRows {
  return {
    table: 'removal_counts',
    isExpired: sql<boolean>`day < ((now() - make_interval(days => ${ttlDays}::integer)) AT TIME ZONE 'UTC')::date`,
    first: [
      {
        at: sql`(min(day)::timestamp AT TIME ZONE 'UTC')`,
        keptFor: sql`make_interval(days => ${ttlDays}::integer + 1)`,
      },
    ],
  };
}
