/** Kinds of events, as stored. */
export const eventKinds = {
  message: 1,
  joined: 2,
  left: 3,
  removed: 4,
  groupInfoRefreshRequested: 6,
  readditionRequested: 7,
  warning: 8,
} as const;
export type EventKind = (typeof eventKinds)[keyof typeof eventKinds];

/** A log position; the order is (position, group id, event number), the same on every server. */
export interface LogPosition {
  readonly position: number;
  readonly groupId: Buffer;
  readonly eventNo: number;
}

/** A row of `events`: it refers to a message by `seq`, and has no content. */
export interface EventRow extends LogPosition {
  readonly receivedAt: Date;
  readonly kind: number;
  readonly seq: number | null;
  readonly epoch: number | null;
  readonly sealedDid: Buffer | null;
}

/** Negative, zero or positive when `a` is before, equal to or after `b` in the log. */
export function compareLogPositions(a: LogPosition, b: LogPosition): number {
  return a.position - b.position || Buffer.compare(a.groupId, b.groupId) || a.eventNo - b.eventNo;
}

/** The log position before every event at `position`. */
export function positionBefore(position: number): LogPosition {
  return { position, groupId: Buffer.alloc(0), eventNo: 0 };
}
