import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import type { CursorCodec } from './cursor.ts';

/**
 * Checks that a cursor can still be used. The service does not store the cursor, because it would be a read receipt.
 * @throws AppError ConvoNotFound, NotMember, InvalidCursor.
 */
export async function checkCursor(
  deps: { db: Db; privacy: Privacy; codec: CursorCodec },
  caller: Caller,
  input: { conversationId: string; cursor: string },
): Promise<void> {
  await requireMember(deps, caller, parseConversationId(input.conversationId));
  if (deps.codec.decode(input.cursor) === undefined) throw domainError('InvalidCursor');
}
