import type { Caller } from '#domain/caller.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { roles } from '#domain/membership/member.ts';
import type { Membership } from '#domain/membership/member.ts';
import { isAppError } from '#platform/errors.ts';
import type { Tx } from '#storage/connection/database.ts';
import type { InviteDeps } from './create-invite.ts';
import { openInviteDetails } from './open-invite.ts';
import { selectInvite, updateRevoked } from './store.ts';

/** No conversation has an empty id. */
const nowhere = Buffer.alloc(0);

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Takes an invite back; whoever has joined with it stays. For admins, and for the member who made it.
 * @throws AppError InviteNotFound, the same for invites of conversations that the caller is not in; NotAdmin, AlreadyRevoked.
 */
export async function revokeInvite(deps: InviteDeps, caller: Caller, inviteId: string): Promise<void> {
  const { privacy, timeBucketSeconds: bucketSeconds } = deps;
  if (!uuid.test(inviteId)) throw domainError('InviteNotFound');
  await deps.db.transaction().execute(async (tx) => {
    const found = await selectInvite(tx, inviteId);
    // Without one the membership is looked up all the same, so that both refusals take as long.
    const groupId = found?.groupId ?? nowhere;
    const membership = await lockOrHide(deps, tx, caller, groupId);
    // Read again: the lock may have been waited for.
    const invite = await selectInvite(tx, inviteId);
    if (invite === undefined) throw domainError('InviteNotFound');
    const isOwn = openInviteDetails(privacy, invite).createdByDid === caller.did;
    if (membership.role !== roles.admin && !isOwn) throw domainError('NotAdmin');
    if (invite.revokedAt !== null) throw domainError('AlreadyRevoked');
    const sealedRevokedBy = privacy.sealText('invite-revoker', [groupId, inviteId], caller.did);
    await updateRevoked(tx, inviteId, { sealedRevokedBy, bucketSeconds });
  });
}

/** The call names no conversation, so those outside of it must not learn that there is one. */
async function lockOrHide(deps: InviteDeps, tx: Tx, caller: Caller, groupId: Buffer): Promise<Membership> {
  try {
    return (await lockConversation(deps, tx, caller, groupId)).membership;
  } catch (error) {
    if (isAppError(error)) throw domainError('InviteNotFound');
    throw error;
  }
}
