import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { findInvite } from '#domain/invites/find-invite.ts';
import { loadPolicy } from '#domain/policies/load-policy.ts';
import type { Policy } from '#domain/policies/policy.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { memberStates } from '../member.ts';
import type { Membership } from '../member.ts';
import { memberPseudonym } from './require-member.ts';
import { selectMembership } from '../store.ts';

/** Why somebody may enter the MLS group by external commit. */
export type Admission =
  | { readonly kind: 'member' }
  /** Left on their own account, and may come back. */
  | { readonly kind: 'returning'; readonly membership: Membership; readonly policy: Policy }
  | { readonly kind: 'invited'; readonly inviteId: string; readonly policy: Policy };

/**
 * Whether the caller may enter by external commit: members with another device or without their state, people who left, and
 * strangers with an invite. Exact when `db` is a transaction that holds the conversation's lock.
 * @param pskHashes invites that the caller shows, by the hash of their secret.
 * @throws AppError ConvoNotFound for strangers without a usable invite, whether or not the conversation exists; NotMember for those
 *   who were removed; PolicyViolation.
 */
export async function findAdmission(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  groupId: Buffer,
  pskHashes: readonly Uint8Array[],
): Promise<Admission> {
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
