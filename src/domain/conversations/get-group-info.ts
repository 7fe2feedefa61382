import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { requireMember } from '#domain/membership/require-member.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/database.ts';
import { parseConversationId } from './conversation.ts';
import { loadGroupInfo } from './group-info.ts';
import { selectConversations } from './store.ts';

/** Clients are asked to refresh a GroupInfo that is older than this. */
const groupInfoLifetimeMs = 6 * 3_600_000;

/**
 * The GroupInfo of the current epoch, for members; one of an older epoch is never served.
 * @throws AppError ConvoNotFound, NotMember, GroupInfoUnavailable.
 */
export async function getGroupInfo(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  conversationId: string,
): Promise<{ groupInfo: Buffer; epoch: number; expiresAt: Date }> {
  const groupId = parseConversationId(conversationId);
  await requireMember(deps, caller, groupId);
  const stored = await loadGroupInfo(deps, groupId);
  const [conversation] = await selectConversations(deps.db, [groupId]);
  if (stored === undefined || stored.epoch !== conversation?.epoch) throw domainError('GroupInfoUnavailable');
  const expiresAt = new Date(stored.updatedAt.getTime() + groupInfoLifetimeMs);
  return { groupInfo: stored.bytes, epoch: stored.epoch, expiresAt };
}
