import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';

const today = sql`date_trunc('day', now(), 'UTC')`;

/** Devices that nobody has seen on any of the last `days` days, and that are not flagged yet. */
export function flaggable(days: number): ExpiringRows {
  return {
    table: 'devices',
    isExpired: sql<boolean>`inactive_since IS NULL AND last_seen_at < ${today} - make_interval(days => ${days}::integer)`,
  };
}

/** Devices that were flagged `days` ago and have not been seen since. */
export function removable(days: number): ExpiringRows {
  return {
    table: 'devices',
    isExpired: sql<boolean>`inactive_since <= ${today} - make_interval(days => ${days}::integer)`,
    first: [
      {
        at: sql`min(inactive_since)`,
        among: sql`inactive_since IS NOT NULL`,
        keptFor: sql`make_interval(days => ${days}::integer)`,
      },
    ],
  };
}

/** Devices whose list of conversations to be added to is over after `waitDays`; only the list goes. */
export function pastWaiting(waitDays: number): ExpiringRows {
  const keptFor = sql`make_interval(days => ${waitDays}::integer)`;
  return {
    table: 'devices',
    isExpired: sql<boolean>`sealed_waiting IS NOT NULL AND waiting_since <= now() - ${keptFor}`,
    first: [{ at: sql`min(waiting_since)`, among: sql`sealed_waiting IS NOT NULL`, keptFor }],
  };
}
