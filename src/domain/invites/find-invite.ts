import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { inviteSecret } from './invite.ts';
import { openInviteDetails } from './open-invite.ts';
import { selectUsable } from './store.ts';

/**
 * An invite with one of these PSK hashes that this person may use: not revoked, expired or used up, and not for another
 * person.
 * @returns its id. Exact when `db` is a transaction that has the conversation's lock.
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
