import { limits } from '#platform/limits.ts';
import type { Handshakes } from './handshakes.ts';

/** The rules of a conversation, which its admins set. */
export interface Policy {
  /** Invites may be made and used. */
  readonly allowInvites: boolean;
  /** Only admins make invites. */
  readonly adminOnlyInvites: boolean;
  /** Every member may add people; otherwise only admins may. */
  readonly allowMemberAdd: boolean;
  /** Every member may remove members who are not admins. */
  readonly allowMemberRemove: boolean;
  /** Only people whom an admin adds become members. */
  readonly requireAdminApproval: boolean;
  /** At most `limits.membersPerConversationMax`. */
  readonly maxMembers: number;
  /** The form of members' commits and proposals. */
  readonly handshakes: Handshakes;
}

/** The policy in force, with its last change. */
export interface PolicyInForce extends Policy {
  readonly updatedAt: Date;
  /** The DID of the admin who changed it last; undefined for an unchanged policy. */
  readonly updatedBy: string | undefined;
}

/** The policy of a conversation until an admin changes it; before that, the conversation has no row in `policies`. */
export const defaultPolicy: Policy = {
  allowInvites: true,
  adminOnlyInvites: true,
  allowMemberAdd: true,
  allowMemberRemove: false,
  requireAdminApproval: false,
  maxMembers: limits.membersPerConversationMax,
  handshakes: 'any',
};
