import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { findAdmission } from '#domain/membership/members/find-admission.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { parseConversationId } from '../conversation.ts';
import { loadGroupInfo } from './group-info.ts';

/** Clients are asked to refresh a GroupInfo that is older than this. */
const groupInfoLifetimeMs = 6 * 3_600_000;

/**
 * The GroupInfo of the current epoch, for everyone who may enter by external commit; one of an older epoch is never served. It
 * shows the roster, so people who left get it only once they have called rejoin.
 * @param pskHash an invite that a stranger shows.
 * @throws AppError ConvoNotFound, NotMember, PolicyViolation, GroupInfoUnavailable.
 */
export async function getGroupInfo(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  conversationId: string,
  pskHash?: Buffer,
): Promise<{ groupInfo: Buffer; epoch: number; expiresAt: Date }> {
  const groupId = parseConversationId(conversationId);
  const admission = await findAdmission(deps, caller, groupId, pskHash === undefined ? [] : [pskHash]);
  if (admission.kind === 'returning' && !admission.membership.needsRejoin) throw domainError('NotMember');
  const stored = await loadGroupInfo(deps, groupId);
  if (stored === undefined) throw domainError('GroupInfoUnavailable');
  const expiresAt = new Date(stored.updatedAt.getTime() + groupInfoLifetimeMs);
  return { groupInfo: stored.bytes, epoch: stored.epoch, expiresAt };
}
