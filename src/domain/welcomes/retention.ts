import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';
import { welcomeStates } from './welcome.ts';

/** Selects Welcomes that were consumed `ttlDays` ago, because no device will fetch them again. */
export function consumedWelcomes(ttlDays: number): ExpiringRows {
  return {
    table: 'welcomes',
    isExpired: sql<boolean>`state = ${sql.lit(welcomeStates.consumed)} AND consumed_at <= now() - make_interval(days => ${ttlDays}::integer)`,
    first: [
      {
        at: sql`min(consumed_at)`,
        among: sql`state = ${sql.lit(welcomeStates.consumed)}`,
        keptFor: sql`make_interval(days => ${ttlDays}::integer)`,
      },
    ],
  };
}

/**
 * Selects Welcomes that were not consumed within the retention time of key packages. The row does not contain the
 * expiry of its key package, because that time would link the Welcome to the package, and so a conversation to a
 * person's devices.
 */
export function unclaimedWelcomes(keyPackageTtlDays: number): ExpiringRows {
  return {
    table: 'welcomes',
    isExpired: sql<boolean>`state <> ${sql.lit(welcomeStates.consumed)} AND created_at <= now() - make_interval(days => ${keyPackageTtlDays}::integer)`,
    first: [
      {
        at: sql`min(created_at)`,
        among: sql`state <> ${sql.lit(welcomeStates.consumed)}`,
        keptFor: sql`make_interval(days => ${keyPackageTtlDays}::integer)`,
      },
    ],
  };
}

/**
 * Selects Welcome messages that have no recipient's row. Messages of the last hour are skipped, because their
 * recipients' rows may not be committed yet.
 */
export const orphanedWelcomeMessages: ExpiringRows = messagesOrphanedWithout(sql`false`);

/** Selects Welcome messages that will have no recipient's row after the Welcomes in `leaving` are deleted. */
export function messagesOrphanedAfter(leaving: readonly ExpiringRows[]): ExpiringRows {
  const reasons = leaving.map(({ isExpired }) => sql`(${isExpired})`);
  return messagesOrphanedWithout(sql`${sql.join(reasons, sql` OR `)}`);
}

function messagesOrphanedWithout(isLeaving: RawBuilder<unknown>): ExpiringRows {
  return {
    table: 'welcome_messages',
    isExpired: sql<boolean>`created_at <= now() - interval '1 hour' AND NOT EXISTS (
      SELECT 1 FROM welcomes w
      WHERE w.group_id = welcome_messages.group_id AND w.epoch = welcome_messages.epoch AND (${isLeaving}) IS NOT TRUE)`,
  };
}
