import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { findInvite } from '#domain/invites/find-invite.ts';
import { loadPolicy } from '#domain/policies/load-policy.ts';
import type { Policy } from '#domain/policies/policy.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { memberStates } from '../member.ts';
import type { Membership } from '../member.ts';
import { memberPseudonym } from './member-pseudonym.ts';
import { selectMembership } from '../store.ts';

/** The reason why a person may join the MLS group by external commit. */
export type JoinPermission =
  /** An active member joins with another device or after losing the group's state. */
  | { readonly kind: 'member' }
  /** A person who left may rejoin, unless the policy requires an admin's approval. */
  | { readonly kind: 'returning'; readonly membership: Membership; readonly policy: Policy }
  | { readonly kind: 'invited'; readonly inviteId: string; readonly policy: Policy };

/**
 * Checks whether the caller may join by external commit as an active member, as a person who left, or with an invite.
 * The result can become outdated unless `db` is a transaction that holds the conversation's lock.
 * @param pskHashes hashes of the secrets of invites that the caller presents.
 * @throws AppError ConvoNotFound for non-members without a usable invite, whether or not the conversation exists;
 *   NotMember for removed members; PolicyViolation.
 */
export async function findJoinPermission(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  groupId: Buffer,
  pskHashes: readonly Uint8Array[],
): Promise<JoinPermission> {
  const { did } = caller;
  const membership = await selectMembership(deps.db, groupId, memberPseudonym(deps.privacy, groupId, did));
  if (membership?.state === memberStates.active) return { kind: 'member' };
  if (membership?.state === memberStates.removed) throw domainError('NotMember');
  const policy = await loadPolicy(deps.db, groupId);
  if (membership !== undefined) {
    if (policy.requireAdminApproval) throw domainError('PolicyViolation');
    return { kind: 'returning', membership, policy };
  }
  const inviteId = await findInvite(deps, groupId, { did, pskHashes });
  if (inviteId === undefined) throw domainError('ConvoNotFound');
  if (policy.requireAdminApproval || !policy.allowInvites) throw domainError('PolicyViolation');
  return { kind: 'invited', inviteId, policy };
}
