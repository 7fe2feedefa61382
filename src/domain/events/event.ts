/** The numbers under which kinds of events are stored. */
export const eventKinds = {
  message: 1,
  joined: 2,
  left: 3,
  removed: 4,
  groupInfoRefreshRequested: 6,
  readditionRequested: 7,
  warning: 8,
  becameMember: 9,
  becameModerator: 10,
  becameAdmin: 11,
} as const;
export type EventKind = (typeof eventKinds)[keyof typeof eventKinds];

/** A position in the event log. All servers order events by position, then by group id, then by event number. */
export interface LogPosition {
  readonly position: number;
  readonly groupId: Buffer;
  readonly eventNo: number;
}

/** A row of `events`, which refers to a message by `seq` and has no content. */
export interface EventRow extends LogPosition {
  readonly receivedAt: Date;
  readonly kind: number;
  readonly seq: number | null;
  readonly epoch: number | null;
  readonly sealedDid: Buffer | null;
}

/**
 * Compares two log positions.
 * @returns a negative number if `a` is before `b` in the log, 0 if they are equal, and a positive number if `a` is
 *   after `b`.
 */
export function compareLogPositions(a: LogPosition, b: LogPosition): number {
  return a.position - b.position || Buffer.compare(a.groupId, b.groupId) || a.eventNo - b.eventNo;
}

/** Makes the log position that is before every event at `position`. */
export function positionBefore(position: number): LogPosition {
  return { position, groupId: Buffer.alloc(0), eventNo: 0 };
}
