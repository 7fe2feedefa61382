import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { changeRole } from './change-role.ts';
import type { RoleDeps, RoleTarget } from './change-role.ts';
import { roles } from '../member.ts';

/**
 * Makes a moderator an ordinary member. Admins may do this, and moderators may demote themselves.
 * @throws AppError ConvoNotFound, NotMember, NotAdmin, TargetNotMember, NotModerator.
 */
export async function demoteModerator(deps: RoleDeps, caller: Caller, input: RoleTarget): Promise<void> {
  await changeRole(deps, caller, input, {
    to: roles.member,
    by: 'admins-and-oneself',
    check: (_tx, _groupId, target) => {
      if (target.role !== roles.moderator) throw domainError('NotModerator');
    },
  });
}
