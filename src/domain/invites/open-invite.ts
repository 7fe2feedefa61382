import type { Privacy } from '#privacy/privacy.ts';
import type { Invite, InviteDetails } from './invite.ts';
import type { InviteRow } from './store.ts';

/** Unseals the values of a row of `invites`. */
export function openInvite(privacy: Privacy, row: InviteRow): Invite {
  const { inviteId, groupId, createdAt, useCount, revokedAt, sealedRevokedBy } = row;
  return {
    ...openInviteDetails(privacy, row),
    inviteId,
    groupId,
    createdAt,
    expiresAt: row.expiresAt ?? undefined,
    maxUses: row.maxUses ?? undefined,
    useCount,
    revoked:
      revokedAt === null || sealedRevokedBy === null
        ? undefined
        : { at: revokedAt, byDid: privacy.unsealText('invite-revoker', [groupId, inviteId], sealedRevokedBy) },
  };
}

export function openInviteDetails(
  privacy: Privacy,
  row: Pick<InviteRow, 'groupId' | 'inviteId' | 'sealedInvite'>,
): InviteDetails {
  return JSON.parse(privacy.unsealText('invite', [row.groupId, row.inviteId], row.sealedInvite)) as InviteDetails;
}
