import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';

const today = sql`date_trunc('day', now(), 'UTC')`;

/** Devices without activity on any of the last `days` days that are not flagged yet. */
export function inactiveDevices(days: number): ExpiringRows {
  return {
    table: 'devices',
    isExpired: sql<boolean>`inactive_since IS NULL AND last_seen_at < ${today} - make_interval(days => ${days}::integer)`,
  };
}

/** Devices that were flagged `days` ago and have had no activity since. */
export function removableDevices(days: number): ExpiringRows {
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

/** Devices whose list of conversations to be added to expires after `waitDays`; only the list is deleted. */
export function expiredWaitingLists(waitDays: number): ExpiringRows {
  const keptFor = sql`make_interval(days => ${waitDays}::integer)`;
  return {
    table: 'devices',
    isExpired: sql<boolean>`sealed_waiting IS NOT NULL AND waiting_since <= now() - ${keptFor}`,
    first: [{ at: sql`min(waiting_since)`, among: sql`sealed_waiting IS NOT NULL`, keptFor }],
  };
}
