import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { memberStates } from '../member.ts';
import { memberPseudonym } from './member-pseudonym.ts';
import { countMembersOf, selectMembershipPairs } from '../store.ts';

/** The caller's state in a conversation, and the number of active members. */
export interface MemberStatus {
  readonly memberCount: number;
  readonly needsRejoin: boolean;
  /** The number of the first message that the caller may fetch. */
  readonly joinedSeq: number;
}

/**
 * Lists the caller's status in each conversation of `groupIds` in which they are an active member, by conversation id
 * (hex).
 */
export async function listMemberStatuses(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  groupIds: readonly Buffer[],
): Promise<ReadonlyMap<string, MemberStatus>> {
  const members = groupIds.map((groupId) => memberPseudonym(deps.privacy, groupId, caller.did));
  const own = await selectMembershipPairs(deps.db, { groupIds, members });
  const active = own.filter(({ state }) => state === memberStates.active);
  const counts = await countMembersOf(
    deps.db,
    active.map(({ groupId }) => groupId),
  );
  return new Map(
    active.map(({ groupId, needsRejoin, joinedSeq }) => {
      const id = groupId.toString('hex');
      return [id, { memberCount: counts.get(id) ?? 0, needsRejoin, joinedSeq }];
    }),
  );
}
