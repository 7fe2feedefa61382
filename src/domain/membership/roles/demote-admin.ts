import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { changeRole } from './change-role.ts';
import type { RoleDeps, RoleTarget } from './change-role.ts';
import { roles } from '../member.ts';
import { countOtherAdmins } from '../store.ts';

/**
 * Makes an admin an ordinary member. Every admin may do this, also to themselves, as long as another admin remains.
 * @throws AppError ConvoNotFound, NotMember, NotAdmin, TargetNotMember, NotAdminTarget, LastAdmin.
 */
export async function demoteAdmin(deps: RoleDeps, caller: Caller, input: RoleTarget): Promise<void> {
  await changeRole(deps, caller, input, {
    to: roles.member,
    by: 'admins-and-oneself',
    check: async (tx, groupId, target) => {
      if (target.role !== roles.admin) throw domainError('NotAdminTarget');
      const others = await countOtherAdmins(tx, groupId, target.member, roles.admin);
      if (others === 0) throw domainError('LastAdmin');
    },
  });
}
