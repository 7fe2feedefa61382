import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import type { LockedConversation } from '#domain/conversations/conversation.ts';
import { lockForJoiner } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { eventKinds } from '#domain/events/event.ts';
import { recordEvents } from '#domain/events/record-events.ts';
import type { Tx } from '#storage/connection/database.ts';
import type { MembershipDeps } from '../add-members.ts';
import { memberStates } from '../member.ts';
import { requireRejoiningMember } from './require-rejoining-member.ts';
import { updateAsked } from './help-requests-store.ts';
import type { HelpRequest } from './help-requests-store.ts';
import { countActiveMembers } from '../store.ts';

/** How many members were asked; nobody is asked again within ten minutes, and the answer is the same. */
export interface AskedMembers {
  readonly requested: boolean;
  readonly activeMembers: number;
}

const eventOf = {
  readdition: eventKinds.readditionRequested,
  groupInfoRefresh: eventKinds.groupInfoRefreshRequested,
} as const satisfies Record<HelpRequest, number>;

/**
 * Asks the other members, by an event, for a fresh GroupInfo or to be added anew. For members who lost the group's state and for
 * people who left; at most one event of a kind per person and conversation in ten minutes.
 * @throws AppError ConvoNotFound, NotMember; NoActiveMembers when nobody could add the caller.
 */
export async function askMembers(
  deps: MembershipDeps,
  caller: Caller,
  input: { conversationId: string; request: HelpRequest },
): Promise<AskedMembers> {
  const groupId = parseConversationId(input.conversationId);
  const asked = await deps.db.transaction().execute(async (tx) => {
    // Strangers wait for no lock.
    await requireRejoiningMember({ privacy: deps.privacy, db: tx }, caller, groupId);
    const locked = await lockForJoiner(tx, groupId);
    return askInTransaction(deps, tx, { caller, locked, request: input.request });
  });
  if (!asked.requested && input.request === 'readdition') throw domainError('NoActiveMembers');
  deps.onEvents();
  return asked;
}

/** As `askMembers`, in a transaction that holds the conversation's lock. */
export async function askInTransaction(
  deps: MembershipDeps,
  tx: Tx,
  asking: { caller: Caller; locked: LockedConversation; request: HelpRequest },
): Promise<AskedMembers> {
  const { caller, locked, request } = asking;
  const { groupId, epoch, lastSeq, lastEvent } = locked;
  const { member, state } = await requireRejoiningMember({ privacy: deps.privacy, db: tx }, caller, groupId);
  const activeMembers = (await countActiveMembers(tx, groupId)) - (state === memberStates.active ? 1 : 0);
  if (activeMembers === 0) return { requested: false, activeMembers };
  const bucketSeconds = deps.timeBucketSeconds;
  if (await updateAsked(tx, groupId, { member, request, bucketSeconds })) {
    const event = { kind: eventOf[request], did: caller.did };
    await recordEvents(deps, tx, { groupId, epoch, lastSeq, firstEvent: lastEvent + 1 }, [event]);
  }
  return { requested: true, activeMembers };
}
