import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';

const today = sql`date_trunc('day', now(), 'UTC')`;

/** Selects devices that had no activity in the last `days` days and are not flagged as inactive yet. */
export function inactiveDevices(days: number): ExpiringRows {
  return {
    table: 'devices',
    isExpired: sql<boolean>`inactive_since IS NULL AND last_seen_at < ${today} - make_interval(days => ${days}::integer)`,
  };
}

/**
 * Selects devices that were flagged as inactive `days` ago. They have had no activity since, because activity clears
 * the flag.
 */
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

/**
 * Selects devices that have waited for `waitDays` to be added to conversations. Only their list of conversations is
 * deleted, not the device.
 */
export function expiredWaitingLists(waitDays: number): ExpiringRows {
  const keptFor = sql`make_interval(days => ${waitDays}::integer)`;
  return {
    table: 'devices',
    isExpired: sql<boolean>`sealed_waiting IS NOT NULL AND waiting_since <= now() - ${keptFor}`,
    first: [{ at: sql`min(waiting_since)`, among: sql`sealed_waiting IS NOT NULL`, keptFor }],
  };
}
