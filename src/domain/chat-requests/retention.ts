import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';
import { chatRequestStates } from './chat-request.ts';

/**
 * Selects the held messages of requests that expired or that were accepted `acceptedTtlHours` ago. Until then, the
 * recipient can fetch the messages of an accepted request again if the response was lost.
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

/** Selects requests whose outcome the recipient can no longer see. Their held messages are deleted with them. */
export const pastChatRequests: ExpiringRows = {
  table: 'chat_requests',
  isExpired: sql<boolean>`kept_until <= now()`,
  first: [{ at: sql`min(kept_until)` }],
};
