import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import type { LockedConversation } from '#domain/conversations/conversation.ts';
import { lockWithoutMembershipCheck } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { eventKinds } from '#domain/events/event.ts';
import { recordEvents } from '#domain/events/record-events.ts';
import type { Tx } from '#storage/connection/database.ts';
import type { MembershipDeps } from '../add-members.ts';
import { memberStates } from '../member.ts';
import { requireRejoiningMember } from './require-rejoining-member.ts';
import { recordHelpRequest } from './help-requests-store.ts';
import type { HelpRequest } from './help-requests-store.ts';
import { countActiveMembers } from '../store.ts';

/** The result of a help request, which is the same when the request is repeated within ten minutes. */
export interface HelpRequestResult {
  /** False if the conversation has no other active member. */
  readonly requested: boolean;
  /** The number of active members other than the caller. */
  readonly activeMembers: number;
}

const eventOf = {
  readdition: eventKinds.readditionRequested,
  groupInfoRefresh: eventKinds.groupInfoRefreshRequested,
} as const satisfies Record<HelpRequest, number>;

/**
 * Records an event with which a member who lost the group's state, or a person who left, requests a fresh GroupInfo or
 * readdition. At most one event of each kind is recorded per person and conversation in ten minutes.
 * @throws AppError ConvoNotFound, NotMember; NoActiveMembers when no other member could add the caller.
 */
export async function sendHelpRequest(
  deps: MembershipDeps,
  caller: Caller,
  input: { conversationId: string; request: HelpRequest },
): Promise<HelpRequestResult> {
  const groupId = parseConversationId(input.conversationId);
  const result = await deps.db.transaction().execute(async (tx) => {
    // The membership is checked before the lock is taken, so that non-members never wait for the lock.
    await requireRejoiningMember({ privacy: deps.privacy, db: tx }, caller, groupId);
    const locked = await lockWithoutMembershipCheck(tx, groupId);
    return sendHelpRequestInTransaction(deps, tx, { caller, locked, request: input.request });
  });
  if (!result.requested && input.request === 'readdition') throw domainError('NoActiveMembers');
  deps.onEvents();
  return result;
}

/** Does the work of `sendHelpRequest` in a transaction that holds the conversation's lock. */
export async function sendHelpRequestInTransaction(
  deps: MembershipDeps,
  tx: Tx,
  input: { caller: Caller; locked: LockedConversation; request: HelpRequest },
): Promise<HelpRequestResult> {
  const { caller, locked, request } = input;
  const { groupId, epoch, lastSeq, lastEvent } = locked;
  const { member, state } = await requireRejoiningMember({ privacy: deps.privacy, db: tx }, caller, groupId);
  const activeMembers = (await countActiveMembers(tx, groupId)) - (state === memberStates.active ? 1 : 0);
  if (activeMembers === 0) return { requested: false, activeMembers };
  const bucketSeconds = deps.timeBucketSeconds;
  if (await recordHelpRequest(tx, groupId, { member, request, bucketSeconds })) {
    const event = { kind: eventOf[request], did: caller.did };
    await recordEvents(deps, tx, { groupId, epoch, lastSeq, firstEvent: lastEvent + 1 }, [event]);
  }
  return { requested: true, activeMembers };
}
