import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';

/** Answers that nobody can be given any more. */
export const expiredIdempotencyKeys: ExpiringRows = {
  table: 'idempotency_keys',
  isExpired: sql<boolean>`expires_at <= now()`,
  first: [{ at: sql`min(expires_at)` }],
};
