import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';

/** Claims of additions of a past day. */
export const expiredAdditionClaims: ExpiringRows = {
  table: 'device_additions',
  isExpired: sql<boolean>`expires_on <= now()`,
  first: [{ at: sql`min(expires_on)` }],
};
