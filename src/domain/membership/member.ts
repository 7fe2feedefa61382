/** What a member may do; every member may send and add. */
export const roles = { member: 1, moderator: 2, admin: 3 } as const;
export type Role = (typeof roles)[keyof typeof roles];

export const memberStates = { active: 1, left: 2, removed: 3 } as const;
export type MemberState = (typeof memberStates)[keyof typeof memberStates];

/** A person's row in one conversation. */
export interface Membership {
  readonly member: Buffer;
  readonly role: number;
  readonly state: number;
  readonly joinedSeq: number;
  readonly joinedEvent: number;
  readonly leftEvent: number | null;
}

/** Whether event number `eventNo` lies between the person's join and removal, both included. */
export function isEntitled(membership: Pick<Membership, 'joinedEvent' | 'leftEvent'>, eventNo: number): boolean {
  return eventNo >= membership.joinedEvent && (membership.leftEvent === null || eventNo <= membership.leftEvent);
}
