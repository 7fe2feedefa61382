import { roles } from '#domain/membership/member.ts';
import { listRosters } from '#domain/membership/members/list-rosters.ts';
import { cipherSuiteName } from '#mls/cipher-suites.ts';
import { required } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import type { Conversation } from './conversation.ts';
import { openMetadata } from './open-metadata.ts';
import { selectConversations } from './store.ts';

/** Loads conversations as their members see them, in the order of `groupIds`. Unknown ids are left out. */
export async function loadConversations(
  deps: { db: Db; privacy: Privacy },
  groupIds: readonly Buffer[],
): Promise<Conversation[]> {
  if (groupIds.length === 0) return [];
  const { privacy } = deps;
  const rows = new Map((await selectConversations(deps.db, groupIds)).map((row) => [row.groupId.toString('hex'), row]));
  const rosters = await listRosters(deps, groupIds);
  return groupIds.flatMap((groupId) => {
    const id = groupId.toString('hex');
    const row = rows.get(id);
    if (row === undefined) return [];
    return [
      {
        groupId,
        creatorDid: privacy.unsealText('conversation-creator', [groupId], row.sealedCreator),
        epoch: row.epoch,
        cipherSuite: required(cipherSuiteName(row.cipherSuite), 'the name of a stored cipher suite'),
        createdAt: row.createdAt,
        metadata: openMetadata(privacy, row),
        members: (rosters.get(id)?.members ?? []).map(({ did, role, joinedAt, promotedAt }) => ({
          did,
          joinedAt,
          promotedAt,
          isAdmin: role === roles.admin,
          isModerator: role === roles.moderator,
        })),
        needsRemovalCommit: rosters.get(id)?.needsRemovalCommit ?? [],
      },
    ];
  });
}
