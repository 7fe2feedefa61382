import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';

/** Warnings past the expiry that their admin chose. */
export const expiredWarnings: ExpiringRows = {
  table: 'warnings',
  isExpired: sql<boolean>`expires_at <= now()`,
  first: [{ at: sql`min(expires_at)` }],
};
