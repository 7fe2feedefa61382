import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';

/** Selects expired claims. A claim expires at the end of a day, when the device can no longer wait for the addition. */
export const expiredAdditionClaims: ExpiringRows = {
  table: 'device_additions',
  isExpired: sql<boolean>`expires_on <= now()`,
  first: [{ at: sql`min(expires_on)` }],
};
