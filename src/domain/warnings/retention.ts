import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';

/** Selects warnings whose expiry time has passed. */
export const expiredWarnings: ExpiringRows = {
  table: 'warnings',
  isExpired: sql<boolean>`expires_at <= now()`,
  first: [{ at: sql`min(expires_at)` }],
};
