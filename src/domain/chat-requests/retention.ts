import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';
import { chatRequestStates } from './chat-request.ts';

/**
 * Held messages of requests that expired, or were accepted `acceptedTtlHours` ago: until then the recipient can fetch them again,
 * in case the answer was lost.
 */
export function unfetchableRequestMessages(acceptedTtlHours: number): ExpiringRows {
  return {
    table: 'chat_request_messages',
    isExpired: sql<boolean>`request_id IN (
    SELECT request_id FROM chat_requests
    WHERE (state = ${sql.lit(chatRequestStates.pending)} AND expires_at <= now())
       OR (state = ${sql.lit(chatRequestStates.accepted)} AND answered_at <= now() - make_interval(hours => ${acceptedTtlHours}::integer)))`,
  };
}

/** Requests whose recipient has had time to see what became of them; their messages go with them. */
export const pastChatRequests: ExpiringRows = {
  table: 'chat_requests',
  isExpired: sql<boolean>`kept_until <= now()`,
  first: [{ at: sql`min(kept_until)` }],
};
