import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { memberStates } from '../member.ts';
import type { Membership } from '../member.ts';
import { selectMembership } from '../store.ts';

/** A person's pseudonym in one conversation; it matches none of theirs elsewhere. */
export function memberPseudonym(privacy: Privacy, groupId: Buffer, did: string): Buffer {
  return privacy.pseudonym('member', [groupId], did);
}

/**
 * The caller's membership, read through `db` (a transaction that holds the conversation's lock makes it exact).
 * @throws AppError ConvoNotFound for strangers, whether or not the conversation exists; NotMember for former members.
 */
export async function requireMember(
  deps: { privacy: Privacy; db: Db },
  caller: Caller,
  groupId: Buffer,
): Promise<Membership> {
  const membership = await selectMembership(deps.db, groupId, memberPseudonym(deps.privacy, groupId, caller.did));
  return judgeMember(membership);
}

/** @throws AppError as `requireMember`. */
export function judgeMember<Row extends { readonly state: number }>(membership: Row | undefined): Row {
  if (membership === undefined) throw domainError('ConvoNotFound');
  if (membership.state !== memberStates.active) throw domainError('NotMember');
  return membership;
}
