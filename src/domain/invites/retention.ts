import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';

/**
 * Selects invites that ended more than `ttlDays` ago, so that admins can see their outcome for that long. For an invite
 * that was used up, the creation time counts, because the time of the last use is not stored.
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
