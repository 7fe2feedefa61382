import type { LockedConversation } from '#domain/conversations/conversation.ts';
import { eventKinds } from '#domain/events/event.ts';
import type { EventKind } from '#domain/events/event.ts';
import { recordEvents } from '#domain/events/record-events.ts';
import { storeCommit } from '#domain/messages/store-commit.ts';
import type { AcceptedCommit } from '#domain/messages/store-commit.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import { changeConversationLists } from '#domain/accounts/change-conversation-lists.ts';
import { memberStates } from '../member.ts';
import type { Role } from '../member.ts';
import { memberPseudonym } from '../members/member-pseudonym.ts';
import { addRemovals, updateDeparture, upsertMembers } from '../store.ts';

/** A change of a conversation, which has at most one commit and lists the people who join or leave. */
export interface GroupChange {
  readonly commit: AcceptedCommit | undefined;
  /** People who become members, none of whom is an active member before the change. */
  readonly joined: readonly { did: string; role: Role }[];
  readonly departed: readonly { did: string; kind: 'left' | 'removed' }[];
}

/**
 * Writes the commit with the next `seq`, the member rows, the changes to the members' conversation lists, and one event
 * for the commit and for every join and departure. `tx` must hold the conversation's lock.
 * @returns the epoch after the change.
 */
export async function recordChange(
  deps: { privacy: Privacy; timeBucketSeconds: number },
  tx: Tx,
  locked: LockedConversation,
  change: GroupChange,
): Promise<number> {
  const { privacy } = deps;
  const { groupId } = locked;
  const epoch = change.commit === undefined ? locked.epoch : locked.epoch + 1;
  const commitEvents = change.commit === undefined ? 0 : 1;
  const seq = locked.lastSeq + commitEvents;
  const joinedFrom = locked.lastEvent + commitEvents;
  const departedFrom = joinedFrom + change.joined.length;

  if (change.commit !== undefined) {
    await storeCommit(deps, tx, { groupId, seq, epoch, commit: change.commit });
  }
  await upsertMembers(
    tx,
    // The first message that a new member may read is the commit that added them, or the next message if there is no
    // commit.
    { groupId, joinedSeq: locked.lastSeq + 1, keyId: privacy.keyId, bucketSeconds: deps.timeBucketSeconds },
    change.joined.map(({ did, role }) => {
      const member = memberPseudonym(privacy, groupId, did);
      const sealedDid = privacy.sealText('member-did', [groupId, member], did);
      return { member, sealedDid, role, joinedEvent: locked.lastEvent + 1 };
    }),
  );
  for (const [index, { did, kind }] of change.departed.entries()) {
    const member = memberPseudonym(privacy, groupId, did);
    const leftEvent = departedFrom + index + 1;
    // Another member must commit the removal when there is no commit, or when the person leaves by their own commit,
    // because a commit cannot remove the leaf that made it (RFC 9420 section 12.2).
    const removal = change.commit === undefined || kind === 'left' ? 'pending' : 'committed';
    await updateDeparture(tx, groupId, { member, state: memberStates[kind], leftEvent, removal });
  }
  await addRemovals(tx, groupId, change.departed.filter(({ kind }) => kind === 'removed').length);
  await recordEvents(deps, tx, { groupId, epoch, lastSeq: seq, firstEvent: locked.lastEvent + 1 }, [
    ...(change.commit === undefined ? [] : [{ kind: eventKinds.message, seq }]),
    ...change.joined.map(({ did }) => membershipEvent(eventKinds.joined, did)),
    ...change.departed.map(({ did, kind }) => membershipEvent(eventKinds[kind], did)),
  ]);
  await changeConversationLists(deps, tx, {
    groupId,
    joined: change.joined.map(({ did }) => did),
    departed: change.departed.map(({ did }) => did),
  });
  return epoch;
}

function membershipEvent(kind: EventKind, did: string): { kind: EventKind; did: string } {
  return { kind, did };
}
