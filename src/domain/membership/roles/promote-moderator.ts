import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { required } from '#platform/errors.ts';
import { changeRole } from './change-role.ts';
import type { RoleDeps, RoleTarget } from './change-role.ts';
import { roles } from '../member.ts';

/**
 * Makes a member a moderator, which only admins may do. An admin cannot be made a moderator, because admins already
 * have a moderator's rights.
 * @returns the time of the change, rounded down to the time bucket.
 * @throws AppError ConvoNotFound, NotMember, NotAdmin, TargetNotMember, AlreadyModerator, IsAdmin.
 */
export async function promoteModerator(deps: RoleDeps, caller: Caller, input: RoleTarget): Promise<Date> {
  const promotedAt = await changeRole(deps, caller, input, {
    to: roles.moderator,
    by: 'admins',
    check: (_tx, _groupId, target) => {
      if (target.role === roles.moderator) throw domainError('AlreadyModerator');
      if (target.role === roles.admin) throw domainError('IsAdmin');
    },
  });
  return required(promotedAt, 'the time of a promotion');
}
