/** The numbers under which roles are stored. Members of every role may send messages. */
export const roles = { member: 1, moderator: 2, admin: 3 } as const;
export type Role = (typeof roles)[keyof typeof roles];

/**
 * The numbers under which membership states are stored. A person who left may rejoin by external commit, but a removed
 * person may not.
 */
export const memberStates = { active: 1, left: 2, removed: 3 } as const;
export type MemberState = (typeof memberStates)[keyof typeof memberStates];

/** Returns whether the role may warn members and read reports. All other restricted actions are for admins only. */
export function mayModerate({ role }: { readonly role: number }): boolean {
  return role === roles.admin || role === roles.moderator;
}

/** A person's membership in one conversation, which remains stored after the person leaves. */
export interface Membership {
  readonly member: Buffer;
  readonly role: number;
  readonly state: number;
  readonly joinedSeq: number;
  readonly joinedEvent: number;
  readonly leftEvent: number | null;
  /** Whether the person left or was removed and still has leaves in the MLS group. */
  readonly removalPending: boolean;
  /** Whether the person requested readdition and has not rejoined yet. */
  readonly needsRejoin: boolean;
}

/**
 * Returns whether the person may read event `eventNo`, which must not be before their join or after their departure.
 */
export function isEntitled(membership: Pick<Membership, 'joinedEvent' | 'leftEvent'>, eventNo: number): boolean {
  return eventNo >= membership.joinedEvent && (membership.leftEvent === null || eventNo <= membership.leftEvent);
}
