import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { required } from '#platform/errors.ts';
import { changeRole } from './change-role.ts';
import type { RoleDeps, RoleTarget } from './change-role.ts';
import { roles } from '../member.ts';

/**
 * Makes a member or a moderator an admin. Only admins may do this.
 * @returns the time of the change, rounded down to the time bucket.
 * @throws AppError ConvoNotFound, NotMember, NotAdmin, TargetNotMember, AlreadyAdmin.
 */
export async function promoteAdmin(deps: RoleDeps, caller: Caller, input: RoleTarget): Promise<Date> {
  const promotedAt = await changeRole(deps, caller, input, {
    to: roles.admin,
    by: 'admins',
    check: (_tx, _groupId, target) => {
      if (target.role === roles.admin) throw domainError('AlreadyAdmin');
    },
  });
  return required(promotedAt, 'the time of a promotion');
}
