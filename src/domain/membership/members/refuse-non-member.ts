import { domainError } from '#domain/domain-error.ts';
import { memberStates } from '../member.ts';

/**
 * Returns the membership if it is active. A caller who was never a member gets the same refusal as for a conversation
 * that does not exist, so that they cannot find out whether it exists.
 * @throws AppError ConvoNotFound without a membership; NotMember for people who left or were removed.
 */
export function refuseNonMember<Row extends { readonly state: number }>(membership: Row | undefined): Row {
  if (membership === undefined) throw domainError('ConvoNotFound');
  if (membership.state !== memberStates.active) throw domainError('NotMember');
  return membership;
}
