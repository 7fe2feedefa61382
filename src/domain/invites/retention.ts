import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiring-rows.ts';

/**
 * Invites that ended `ttlDays` ago: until then admins can see what became of them. Of one that was used up the end is not
 * known, so its creation counts.
 */
export function endedInvites(ttlDays: number): ExpiringRows {
  const since = sql`now() - make_interval(days => ${ttlDays}::integer)`;
  return {
    table: 'invites',
    isExpired: sql<boolean>`(expires_at <= ${since} OR revoked_at <= ${since} OR (use_count >= max_uses AND created_at <= ${since}))`,
  };
}
