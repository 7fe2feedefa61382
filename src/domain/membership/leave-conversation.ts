import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import type { PreparedGroupInfo } from '#domain/conversations/group-info/group-info.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import type { Tx } from '#storage/connection/database.ts';
import type { MembershipDeps } from './add-members.ts';
import { acceptMemberCommit } from './commits/accept-member-commit.ts';
import { roles } from './member.ts';
import type { Membership } from './member.ts';
import { prepareCommit } from './commits/prepare-commit.ts';
import type { PreparedCommit } from './commits/prepare-commit.ts';
import { recordChange } from './commits/record-change.ts';
import { removeMember } from './remove-member.ts';
import { attachmentsOf, prepareMembersGroupInfo, storeAttachments } from './commits/store-attachments.ts';
import { countActiveMembers, countOtherAdmins } from './store.ts';

export interface Departure {
  readonly conversationId: string;
  /** The DID of the person to remove; undefined if the caller leaves. */
  readonly targetDid: string | undefined;
  readonly commit: Buffer | undefined;
  /** The GroupInfo of the epoch after the commit. */
  readonly groupInfo?: Buffer | undefined;
}

/**
 * Ends the caller's membership, or calls `removeMember` if the target is another person. The only admin cannot leave
 * while the conversation has other members.
 * @returns the epoch after the change.
 * @throws AppError ConvoNotFound, NotMember, LastAdmin, InvalidCommit, InvalidGroupInfo, EpochMismatch,
 *   PolicyViolation; for another person also NotAdmin, TargetNotMember.
 */
export async function leaveConversation(deps: MembershipDeps, caller: Caller, input: Departure): Promise<number> {
  if (input.targetDid !== undefined && input.targetDid !== caller.did) {
    return removeMember(deps, caller, { ...input, targetDid: input.targetDid });
  }
  const groupId = parseConversationId(input.conversationId);
  const prepared = await prepareCommit(deps, caller, groupId, input.commit);
  const groupInfo = await prepareMembersGroupInfo(deps, caller, groupId, input.groupInfo);
  const departure = { groupId, prepared, groupInfo };
  const epoch = await deps.db.transaction().execute((tx) => leaveInTransaction(deps, tx, caller, departure));
  deps.onEvents();
  return epoch;
}

async function leaveInTransaction(
  deps: MembershipDeps,
  tx: Tx,
  caller: Caller,
  input: { groupId: Buffer; prepared: PreparedCommit | undefined; groupInfo: PreparedGroupInfo | undefined },
): Promise<number> {
  const { groupId, prepared, groupInfo } = input;
  const conversation = await lockConversation(deps, tx, caller, groupId);
  const { locked, membership } = conversation;
  const change = { method: 'leaveConvo' } as const;
  const outcome = await acceptMemberCommit(deps, tx, conversation, { caller, prepared, change, groupInfo });
  if (outcome?.kind === 'retry') return outcome.epoch;
  await refuseLastAdmin(tx, groupId, membership);
  if (outcome !== undefined) await storeAttachments(deps, tx, caller, attachmentsOf(locked, groupInfo));
  return recordChange(deps, tx, locked, {
    commit: outcome?.commit,
    joined: [],
    departed: [{ did: caller.did, kind: 'left' }],
  });
}

async function refuseLastAdmin(tx: Tx, groupId: Buffer, membership: Membership): Promise<void> {
  if (membership.role !== roles.admin) return;
  const isOnlyAdmin = (await countOtherAdmins(tx, groupId, membership.member, roles.admin)) === 0;
  if (isOnlyAdmin && (await countActiveMembers(tx, groupId)) > 1) throw domainError('LastAdmin');
}
