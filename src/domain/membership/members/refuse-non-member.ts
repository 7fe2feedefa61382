import { domainError } from '#domain/domain-error.ts';
import { memberStates } from '../member.ts';

/**
 * Passes an active membership through. A caller who was never a member gets the same response as for a conversation
 * that does not exist.
 * @throws AppError ConvoNotFound without a membership; NotMember for people who left or were removed.
 */
export function refuseNonMember<Row extends { readonly state: number }>(membership: Row | undefined): Row {
  if (membership === undefined) throw domainError('ConvoNotFound');
  if (membership.state !== memberStates.active) throw domainError('NotMember');
  return membership;
}
