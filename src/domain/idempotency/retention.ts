import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';

/** Stored results that are no longer returned. */
export const expiredIdempotencyKeys: ExpiringRows = {
  table: 'idempotency_keys',
  isExpired: sql<boolean>`expires_at <= now()`,
  first: [{ at: sql`min(expires_at)` }],
};
