import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';

/**
 * Invites that ended `ttlDays` ago, so that admins can see their outcome until then. The time when an invite was used
 * up is not stored, so its creation time counts.
 */
export function endedInvites(ttlDays: number): ExpiringRows {
  const keptFor = sql`make_interval(days => ${ttlDays}::integer)`;
  const since = sql`now() - ${keptFor}`;
  return {
    table: 'invites',
    isExpired: sql<boolean>`(expires_at <= ${since} OR revoked_at <= ${since} OR (use_count >= max_uses AND created_at <= ${since}))`,
    first: [
      { at: sql`min(expires_at)`, keptFor },
      { at: sql`min(revoked_at)`, keptFor },
      { at: sql`min(created_at)`, among: sql`use_count >= max_uses`, keptFor },
    ],
  };
}
