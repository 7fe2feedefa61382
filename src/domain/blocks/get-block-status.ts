import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { listRosters } from '#domain/membership/members/list-rosters.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { checkBlocks } from './check-blocks.ts';
import type { CheckedBlocks } from './check-blocks.ts';
import type { BlockDeps } from './read-blockers.ts';

export interface BlockStatus extends CheckedBlocks {
  readonly memberCount: number;
}

/**
 * Lists the blocks between the caller and the other members of a conversation. Blocks between two other members are not
 * shown, not even to admins.
 * @throws AppError ConvoNotFound, NotMember, BlueskyServiceUnavailable.
 */
export async function getBlockStatus(
  deps: BlockDeps & { readonly db: Db; readonly privacy: Privacy; readonly timeBucketSeconds: number },
  caller: Caller,
  conversationId: string,
): Promise<BlockStatus> {
  const groupId = parseConversationId(conversationId);
  await requireMember(deps, caller, groupId);
  const members = (await listRosters(deps, [groupId])).get(groupId.toString('hex'))?.members ?? [];
  const dids = members.map(({ did }) => did);
  return { ...(await checkBlocks(deps, caller, dids)), memberCount: dids.length };
}
