import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { inviteSecret } from './invite.ts';
import { openInviteDetails } from './open-invite.ts';
import { selectUsable } from './store.ts';

/**
 * Finds an invite that has one of these PSK hashes and that this person may use. The invite must not be revoked,
 * expired, used up or reserved for another person.
 * @returns the id of the invite. It remains usable during a transaction that has the conversation's lock.
 */
export async function findInvite(
  deps: { db: Db; privacy: Privacy },
  groupId: Buffer,
  shown: { did: string; pskHashes: readonly Uint8Array[] },
): Promise<string | undefined> {
  const secrets = shown.pskHashes.map((pskHash) => inviteSecret(deps.privacy, groupId, pskHash));
  const usable = await selectUsable(deps.db, groupId, secrets);
  const found = usable.find(({ inviteId, sealedInvite }) => {
    const { targetDid } = openInviteDetails(deps.privacy, { groupId, inviteId, sealedInvite });
    return targetDid === undefined || targetDid === shown.did;
  });
  return found?.inviteId;
}
