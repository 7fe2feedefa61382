import { limits } from '#platform/limits.ts';
import type { Handshakes } from './handshakes.ts';

/** What is allowed in a conversation; admins set it. */
export interface Policy {
  /** Invites may be made and used. */
  readonly allowInvites: boolean;
  /** Only admins make invites. */
  readonly adminOnlyInvites: boolean;
  /** Every member may add others, not only admins. */
  readonly allowMemberAdd: boolean;
  /** Every member may remove others who are no admins, not only admins. */
  readonly allowMemberRemove: boolean;
  /** Nobody gets in but those whom an admin adds. */
  readonly requireAdminApproval: boolean;
  /** At most `limits.membersPerConversationMax`. */
  readonly maxMembers: number;
  /** How commits and proposals of members travel. */
  readonly handshakes: Handshakes;
}

/** A policy as it stands, and since when. */
export interface PolicyInForce extends Policy {
  readonly updatedAt: Date;
  /** Absent as long as nobody has changed anything. */
  readonly updatedBy: string | undefined;
}

/** In force until an admin changes something; a conversation has no row before that. */
export const defaultPolicy: Policy = {
  allowInvites: true,
  adminOnlyInvites: true,
  allowMemberAdd: true,
  allowMemberRemove: false,
  requireAdminApproval: false,
  maxMembers: limits.membersPerConversationMax,
  handshakes: 'any',
};
