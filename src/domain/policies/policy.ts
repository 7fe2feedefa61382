import { limits } from '#platform/limits.ts';
import type { Handshakes } from './handshakes.ts';

/** The rules of a conversation, which its admins can change. */
export interface Policy {
  /** Whether invites may be made and used. */
  readonly allowInvites: boolean;
  /** Whether only admins may make invites. */
  readonly adminOnlyInvites: boolean;
  /** Whether every member may add people; if false, only admins may add people. */
  readonly allowMemberAdd: boolean;
  /** Whether every member may remove members who are not admins. */
  readonly allowMemberRemove: boolean;
  /** Whether people become members only if an admin adds them. */
  readonly requireAdminApproval: boolean;
  /** The maximum number of members, up to `limits.membersPerConversationMax`. */
  readonly maxMembers: number;
  /** The allowed form of members' commits and proposals. */
  readonly handshakes: Handshakes;
}

/** The policy that applies, with the time and the author of its last change. */
export interface PolicyInForce extends Policy {
  readonly updatedAt: Date;
  /** The DID of the admin who made the last change; undefined if the policy was never changed. */
  readonly updatedBy: string | undefined;
}

/** The policy of a conversation that has no row in `policies`, because no admin has changed its policy. */
export const defaultPolicy: Policy = {
  allowInvites: true,
  adminOnlyInvites: true,
  allowMemberAdd: true,
  allowMemberRemove: false,
  requireAdminApproval: false,
  maxMembers: limits.membersPerConversationMax,
  handshakes: 'any',
};
