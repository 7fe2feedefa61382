import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';

/** Selects expired idempotency keys with their results, which are no longer returned to repeated calls. */
export const expiredIdempotencyKeys: ExpiringRows = {
  table: 'idempotency_keys',
  isExpired: sql<boolean>`expires_at <= now()`,
  first: [{ at: sql`min(expires_at)` }],
};
