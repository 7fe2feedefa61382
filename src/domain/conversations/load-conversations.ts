import type { Caller } from '#domain/caller.ts';
import { roles } from '#domain/membership/member.ts';
import { listRosters } from '#domain/membership/members/list-rosters.ts';
import { cipherSuiteName } from '#mls/cipher-suites.ts';
import { required } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import type { Conversation } from './conversation.ts';
import { openMetadata } from './open-metadata.ts';
import { lastMessageTime } from './last-message-time.ts';
import { selectConversationsWithLastMessage } from './store.ts';

/** Loads conversations as the caller, a member, sees them, in the order of `groupIds`. Unknown ids are left out. */
export async function loadConversations(
  deps: { db: Db; privacy: Privacy; messageTtlDays: number },
  caller: Caller,
  groupIds: readonly Buffer[],
): Promise<Conversation[]> {
  if (groupIds.length === 0) return [];
  const { privacy } = deps;
  const found = await selectConversationsWithLastMessage(deps.db, groupIds, deps.messageTtlDays);
  const rows = new Map(found.map((row) => [row.groupId.toString('hex'), row]));
  const rosters = await listRosters(deps, groupIds);
  return groupIds.flatMap((groupId) => {
    const id = groupId.toString('hex');
    const row = rows.get(id);
    const { members = [], needsRemovalCommit = [] } = rosters.get(id) ?? {};
    if (row === undefined) return [];
    return [
      {
        groupId,
        creatorDid: privacy.unsealText('conversation-creator', [groupId], row.sealedCreator),
        epoch: row.epoch,
        cipherSuite: required(cipherSuiteName(row.cipherSuite), 'the name of a stored cipher suite'),
        createdAt: row.createdAt,
        lastMessageAt: lastMessageTime(row, members.find(({ did }) => did === caller.did)?.joinedSeq),
        metadata: openMetadata(privacy, row),
        members: members.map(({ did, role, joinedAt, promotedAt }) => ({
          did,
          joinedAt,
          promotedAt,
          isAdmin: role === roles.admin,
          isModerator: role === roles.moderator,
        })),
        needsRemovalCommit,
      },
    ];
  });
}
