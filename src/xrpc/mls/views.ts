import type { BlockRelationship } from '#domain/blocks/block.ts';
import { formatConversationId } from '#domain/conversations/conversation.ts';
import type { Conversation, ConversationMetadata } from '#domain/conversations/conversation.ts';
import type { Invite } from '#domain/invites/invite.ts';
import type { Policy, PolicyInForce } from '#domain/policies/policy.ts';

/** A block in the form of `checkBlocks#blockRelationship` in the lexicon. */
export interface BlockView {
  readonly blockerDid: string;
  readonly blockedDid: string;
  readonly createdAt: string;
  readonly blockUri: string;
}

export function blockView({ createdAt, ...block }: BlockRelationship): BlockView {
  return { ...block, createdAt: createdAt.toISOString() };
}

/** A conversation in the form of `defs#convoView` in the lexicon. */
export interface ConversationView {
  readonly groupId: string;
  readonly creator: string;
  readonly members: readonly MemberView[];
  readonly epoch: number;
  readonly cipherSuite: string;
  readonly createdAt: string;
  readonly lastMessageAt: string | undefined;
  readonly metadata: ConversationMetadata | undefined;
  readonly needsRemovalCommit: readonly string[] | undefined;
}

interface MemberView {
  readonly did: string;
  readonly userDid: string;
  readonly joinedAt: string;
  readonly isAdmin: boolean;
  readonly isModerator: boolean;
  readonly promotedAt: string | undefined;
}

export function conversationView(conversation: Conversation): ConversationView {
  return {
    groupId: formatConversationId(conversation.groupId),
    creator: conversation.creatorDid,
    members: conversation.members.map(({ did, joinedAt, isAdmin, isModerator, promotedAt }) => ({
      did,
      userDid: did,
      joinedAt: joinedAt.toISOString(),
      isAdmin,
      isModerator,
      promotedAt: promotedAt?.toISOString(),
    })),
    epoch: conversation.epoch,
    cipherSuite: conversation.cipherSuite,
    createdAt: conversation.createdAt.toISOString(),
    lastMessageAt: conversation.lastMessageAt?.toISOString(),
    metadata: conversation.metadata,
    needsRemovalCommit: conversation.needsRemovalCommit.length === 0 ? undefined : conversation.needsRemovalCommit,
  };
}

/** A policy in the form of `updatePolicy#policyView` in the lexicon. */
export interface PolicyView extends Policy {
  readonly convoId: string;
  readonly updatedAt: string;
  readonly updatedBy: string | undefined;
}

export function policyView(convoId: string, policy: PolicyInForce): PolicyView {
  return { ...policy, convoId: convoId.toLowerCase(), updatedAt: policy.updatedAt.toISOString() };
}

/** An invite in the form of `createInvite#inviteView` in the lexicon. */
export interface InviteView {
  readonly inviteId: string;
  readonly convoId: string;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly pskHash: string;
  readonly targetDid: string | undefined;
  readonly expiresAt: string | undefined;
  readonly maxUses: number | undefined;
  readonly useCount: number;
  readonly isRevoked: boolean;
  readonly revokedAt: string | undefined;
  readonly revokedBy: string | undefined;
}

export function inviteView(invite: Invite): InviteView {
  const { inviteId, pskHash, targetDid, maxUses, useCount, revoked } = invite;
  return {
    inviteId,
    convoId: formatConversationId(invite.groupId),
    createdBy: invite.createdByDid,
    createdAt: invite.createdAt.toISOString(),
    pskHash,
    targetDid,
    expiresAt: invite.expiresAt?.toISOString(),
    maxUses,
    useCount,
    isRevoked: revoked !== undefined,
    revokedAt: revoked?.at.toISOString(),
    revokedBy: revoked?.byDid,
  };
}
