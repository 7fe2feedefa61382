/** Roles, as stored; every member may send messages. */
export const roles = { member: 1, moderator: 2, admin: 3 } as const;
export type Role = (typeof roles)[keyof typeof roles];

/** States, as stored: a person who left may rejoin by external commit, a removed person may not. */
export const memberStates = { active: 1, left: 2, removed: 3 } as const;
export type MemberState = (typeof memberStates)[keyof typeof memberStates];

/** Whether the role allows warning members and reading reports; every other restricted action is for admins only. */
export function mayModerate({ role }: { readonly role: number }): boolean {
  return role === roles.admin || role === roles.moderator;
}

/** A person's row in the roster of one conversation. */
export interface Membership {
  readonly member: Buffer;
  readonly role: number;
  readonly state: number;
  readonly joinedSeq: number;
  readonly joinedEvent: number;
  readonly leftEvent: number | null;
  /** The person left or was removed, and no commit has removed their leaves from the MLS group yet. */
  readonly removalPending: boolean;
  /** The person lost the group's state and requested readdition. */
  readonly needsRejoin: boolean;
}

/** Whether event number `eventNo` is between the person's join and departure, both included. */
export function isEntitled(membership: Pick<Membership, 'joinedEvent' | 'leftEvent'>, eventNo: number): boolean {
  return eventNo >= membership.joinedEvent && (membership.leftEvent === null || eventNo <= membership.leftEvent);
}
