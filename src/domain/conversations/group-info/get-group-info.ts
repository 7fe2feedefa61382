import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { findJoinPermission } from '#domain/membership/members/find-join-permission.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { parseConversationId } from '../conversation.ts';
import { loadGroupInfo } from './group-info.ts';

/** Clients should replace a stored GroupInfo that is older than six hours. */
const groupInfoLifetimeMs = 6 * 3_600_000;

/**
 * Reads the GroupInfo of the current epoch for a caller who may join by external commit. A GroupInfo shows the members,
 * so a person who left gets it only after requesting to rejoin.
 * @param pskHash the hash of the secret of an invite that a non-member presents.
 * @throws AppError ConvoNotFound, NotMember, PolicyViolation, GroupInfoUnavailable.
 */
export async function getGroupInfo(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  conversationId: string,
  pskHash?: Buffer,
): Promise<{ groupInfo: Buffer; epoch: number; expiresAt: Date }> {
  const groupId = parseConversationId(conversationId);
  const permission = await findJoinPermission(deps, caller, groupId, pskHash === undefined ? [] : [pskHash]);
  if (permission.kind === 'returning' && !permission.membership.needsRejoin) throw domainError('NotMember');
  const stored = await loadGroupInfo(deps, groupId);
  if (stored === undefined) throw domainError('GroupInfoUnavailable');
  const expiresAt = new Date(stored.updatedAt.getTime() + groupInfoLifetimeMs);
  return { groupInfo: stored.bytes, epoch: stored.epoch, expiresAt };
}
