import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { parseConversationId } from './conversation.ts';
import { selectConversations } from './store.ts';

/** Reads the current epoch for a member. @throws AppError ConvoNotFound, NotMember. */
export async function getEpoch(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  conversationId: string,
): Promise<number> {
  const groupId = parseConversationId(conversationId);
  await requireMember(deps, caller, groupId);
  return loadEpoch(deps, groupId);
}

/** Reads the current epoch without a membership check. @throws AppError ConvoNotFound. */
export async function loadEpoch(deps: { db: Db }, groupId: Buffer): Promise<number> {
  const [conversation] = await selectConversations(deps.db, [groupId]);
  if (conversation === undefined) throw domainError('ConvoNotFound');
  return conversation.epoch;
}
