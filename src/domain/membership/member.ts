/** What a member may do; every member may send and add. */
export const roles = { member: 1, moderator: 2, admin: 3 } as const;
export type Role = (typeof roles)[keyof typeof roles];

export const memberStates = { active: 1, left: 2, removed: 3 } as const;
export type MemberState = (typeof memberStates)[keyof typeof memberStates];

/** Admins and moderators warn members and see reports; everything else that only some may do is for admins. */
export function mayModerate({ role }: { readonly role: number }): boolean {
  return role === roles.admin || role === roles.moderator;
}

/** A person's row in one conversation. */
export interface Membership {
  readonly member: Buffer;
  readonly role: number;
  readonly state: number;
  readonly joinedSeq: number;
  readonly joinedEvent: number;
  readonly leftEvent: number | null;
  /** Gone, but no commit has taken their leaves out of the MLS group yet. */
  readonly removalPending: boolean;
  /** Has lost the group's state and asked to be added anew. */
  readonly needsRejoin: boolean;
}

/** Whether event number `eventNo` lies between the person's join and removal, both included. */
export function isEntitled(membership: Pick<Membership, 'joinedEvent' | 'leftEvent'>, eventNo: number): boolean {
  return eventNo >= membership.joinedEvent && (membership.leftEvent === null || eventNo <= membership.leftEvent);
}
