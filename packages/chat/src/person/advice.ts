import { ApiError, NoResponseError, TokenError } from '#client/api/api-error.ts';
import {
  CommitRefusedError,
  JoinPendingError,
  NoKeyPackageError,
  NotInGroupError,
  TooManyEpochRacesError,
} from '#client/conversation/conversation-error.ts';

/** What to do about the error responses that a person can meet on this page. */
const adviceByName: Readonly<Record<string, string>> = {
  AlreadyMember: 'This person is a member already.',
  BlockedByMember: 'A member has blocked this person, so they cannot be in one conversation.',
  CannotRemoveSelf: 'Use the button "Leave" to leave a conversation.',
  DeviceNotFound: 'The server does not know this device any more. Go offline and online, then it registers again.',
  IdentityUnavailable: 'The server cannot read the DID document of your account now. Try again in a minute.',
  JwtExpired: 'The clock of this machine differs from that of the server. Correct it, then try again.',
  KeyPackageNotFound: 'The keys of this person were used up a moment ago. Try again.',
  LastAdmin: 'You are the only admin, so you cannot leave. Remove the others instead.',
  LastMember: 'You are the only member, so no other member can commit that you leave.',
  MessageTooLarge: 'The message is too long. Send it in parts.',
  MutualBlockDetected: 'Two of these people have blocked each other, so they cannot be in one conversation.',
  NotAdmin: 'Only an admin of this conversation can do that. Ask the person who created it.',
  NotMember: 'You are not in this conversation any more. Ask a member to add you again.',
  PolicyViolation: 'The rules of this conversation do not allow that. Ask an admin to change them.',
  RateLimitExceeded: 'That was too much in a short time. Wait a minute and try again.',
  TargetNotMember: 'This person has left in the meantime.',
  TooManyDevices: 'This account has too many devices. Delete one that you do not use, then try again.',
  TooManyMembers: 'The conversation is full. Start another one.',
};

/** Says in plain words what went wrong and what to do next. */
export function adviceFor(error: unknown): string {
  if (error instanceof ApiError) return adviceForResponse(error);
  if (error instanceof TokenError) return adviceFor(error.cause);
  if (error instanceof NoResponseError) return 'The server does not respond. Check that it runs, then try again.';
  const ofGroup = adviceForGroup(error);
  if (ofGroup !== undefined) return ofGroup;
  if (error instanceof AdvisedError) return error.message;
  return `Something failed (${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}). Reload the page.`;
}

function adviceForResponse(error: ApiError): string {
  const known = adviceByName[error.error];
  if (known !== undefined) return known;
  if (error.status === 401) return 'The server does not accept your sign-in. Reload the page and sign in again.';
  if (error.status >= 500) return 'The server cannot do that now. Try again in a minute.';
  return `The server refused this (${error.error}): ${error.message}`;
}

/** Undefined for errors that are not about a group. */
function adviceForGroup(error: unknown): string | undefined {
  if (error instanceof NoKeyPackageError) {
    return 'They have not opened this page yet, so there are no keys of theirs to add. Ask them to open it once.';
  }
  if (error instanceof CommitRefusedError) {
    return 'A member changed this conversation without the right to. Ask an admin to remove them, then press "Join again".';
  }
  if (error instanceof TooManyEpochRacesError) return 'Others changed the group at the same time. Try again.';
  if (error instanceof NotInGroupError) return 'This device is not in the conversation. Ask a member to add you again.';
  if (error instanceof JoinPendingError) {
    return 'This device waits until a member who is online lets it in. Ask one to open the page.';
  }
  return undefined;
}

/** An error whose message already says what to do. */
export class AdvisedError extends Error {
  override readonly name = 'AdvisedError';
}
