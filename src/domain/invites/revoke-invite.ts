import type { Caller } from '#domain/caller.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { roles } from '#domain/membership/member.ts';
import type { Membership } from '#domain/membership/member.ts';
import { isAppError } from '#platform/errors.ts';
import { isUuid } from '#platform/ids.ts';
import type { Tx } from '#storage/connection/database.ts';
import type { InviteDeps } from './create-invite.ts';
import { openInviteDetails } from './open-invite.ts';
import { selectInvite, updateRevoked } from './store.ts';

/** An id that no conversation has. */
const unknownGroupId = Buffer.alloc(0);

/**
 * Revokes an invite, if the caller is an admin or created it. Members who joined with the invite stay.
 * @throws AppError InviteNotFound, also for invites of conversations that the caller is not in; NotAdmin,
 *   AlreadyRevoked.
 */
export async function revokeInvite(deps: InviteDeps, caller: Caller, inviteId: string): Promise<void> {
  const { privacy, timeBucketSeconds: bucketSeconds } = deps;
  if (!isUuid(inviteId)) throw domainError('InviteNotFound');
  await deps.db.transaction().execute(async (tx) => {
    const found = await selectInvite(tx, inviteId);
    // Checks the membership also for an unknown invite, so that both refusals take the same time.
    const groupId = found?.groupId ?? unknownGroupId;
    const membership = await lockOrHide(deps, tx, caller, groupId);
    // Read again, because the invite may have changed during the wait for the lock.
    const invite = await selectInvite(tx, inviteId);
    if (invite === undefined) throw domainError('InviteNotFound');
    const isOwn = openInviteDetails(privacy, invite).createdByDid === caller.did;
    if (membership.role !== roles.admin && !isOwn) throw domainError('NotAdmin');
    if (invite.revokedAt !== null) throw domainError('AlreadyRevoked');
    const sealedRevokedBy = privacy.sealText('invite-revoker', [groupId, inviteId], caller.did);
    await updateRevoked(tx, inviteId, { sealedRevokedBy, bucketSeconds });
  });
}

/**
 * Locks the conversation of an invite. Non-members get InviteNotFound, so that they cannot learn that the invite
 * exists.
 */
async function lockOrHide(deps: InviteDeps, tx: Tx, caller: Caller, groupId: Buffer): Promise<Membership> {
  try {
    return (await lockConversation(deps, tx, caller, groupId)).membership;
  } catch (error) {
    if (isAppError(error)) throw domainError('InviteNotFound');
    throw error;
  }
}
