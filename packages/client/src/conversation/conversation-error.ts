import { isApiError } from '../api/api-error.ts';

/** The device has no keys of this conversation. */
export class NotInGroupError extends Error {
  override readonly name = 'NotInGroupError';
}

/** The device waits for a member: for a Welcome, or for a GroupInfo with which it can join by itself. It asks again later. */
export class JoinPendingError extends Error {
  override readonly name = 'JoinPendingError';
  readonly convoId: string;

  constructor(convoId: string) {
    super(`this device waits to join the group ${convoId}`);
    this.convoId = convoId;
  }
}

/** Every attempt lost its epoch to a commit of another member. */
export class TooManyEpochRacesError extends Error {
  override readonly name = 'TooManyEpochRacesError';
}

/** Commits are missing, or one cannot be applied: the device has to join the group anew. */
export class LostGroupError extends Error {
  override readonly name = 'LostGroupError';
  readonly convoId: string;

  constructor(convoId: string) {
    super(`this device has lost the state of the group ${convoId}`);
    this.convoId = convoId;
  }
}

/**
 * A member made a commit that their role forbids. The device stays in the epoch before it, and can neither send nor receive in this
 * conversation until the app calls `rejoin`, or the person is removed.
 */
export class CommitRefusedError extends Error {
  override readonly name = 'CommitRefusedError';
  readonly convoId: string;

  constructor(convoId: string) {
    super(`a commit of the group ${convoId} is forbidden; rejoin when an admin has repaired the group`);
    this.convoId = convoId;
  }
}

/** These people have published no key package, so nobody can add them. */
export class NoKeyPackageError extends Error {
  override readonly name = 'NoKeyPackageError';
  readonly dids: readonly string[];

  constructor(dids: readonly string[]) {
    super(`${dids.length} of the people have no key package left`);
    this.dids = dids;
  }
}

/** The messenger was closed while an operation was running. */
export class ClosedError extends Error {
  override readonly name = 'ClosedError';
}

/** Whether the service says that this person is not a member. */
export function isNotMember(error: unknown): boolean {
  return isApiError(error, 'NotMember') || isApiError(error, 'ConvoNotFound');
}
