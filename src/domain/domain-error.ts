import { AppError } from '#platform/errors.ts';
import type { ErrorDetail } from '#platform/errors.ts';

/**
 * The refusals of the domain, each with the fixed text that says what the caller should do next. A method may send only
 * the names that its lexicon declares, and `src/xrpc/response/statuses.ts` has their HTTP statuses.
 */
export const domainErrors = {
  AlreadyAdmin: 'That person is an admin already. Nothing is left to do.',
  AlreadyMember: 'A person in the list is already a member. Leave them out and send the rest.',
  AlreadyModerator: 'That person is a moderator already. Nothing is left to do.',
  AlreadyProcessed: 'The chat request was accepted or declined before. Call listChatRequests for its state.',
  AlreadyResolved: 'The report was decided before. Call getReports for its state.',
  AlreadyRevoked: 'The invite was revoked before. Nothing is left to do.',
  BatchTooLarge: 'The batch has too many key packages. Send at most 100 at once.',
  BlockNotVerified:
    'Your repository does not show this change. Write or delete the block record first, and report the change as the person who blocks.',
  BlueskyServiceUnavailable: 'The block records cannot be read now. Try again later.',
  CannotRemoveSelf: 'An admin cannot remove themselves. Call leaveConvo.',
  CannotReportSelf: 'You cannot report yourself. Name another member.',
  CannotWarnAdmin: 'Admins cannot be warned. Demote them first.',
  ConvoAlreadyExists: 'The group id is taken. Make a new MLS group and try again.',
  ConvoNotFound: 'There is no such conversation. Check the id, or ask a member to add you.',
  DeviceNotFound: 'You have no such device. Call listDevices, or register it first.',
  DuplicateRequest: 'An earlier chat request to that person is still pending. Wait until they accept or decline it.',
  EpochMismatch:
    'The conversation is in another epoch. Fetch the commits up to currentEpoch, apply them, and try again.',
  GroupInfoUnavailable: 'No GroupInfo of this epoch is stored. Ask a member to call updateGroupInfo, then try again.',
  IdempotencyKeyReused: 'The idempotency key was used with another input. Choose a new key for a new call.',
  InvalidAsset:
    'The ciphertext is not an MLS message of this conversation and epoch that fills paddedSize. Encrypt it again.',
  InvalidBatch: 'The batch is empty. Send at least one key package.',
  InvalidCipherSuite: 'The cipher suite is unknown or differs from the one in the bytes. Name the suite that was used.',
  InvalidCommit:
    'The commit is not an MLS commit of this conversation and epoch. Make it again from the current state.',
  InvalidCursor: 'The cursor is not one of this service or has expired. Start again without it.',
  InvalidDeviceName: 'The device name cannot be used. Choose one of 1 to 128 bytes.',
  InvalidDid: 'You can only count your own key packages. Leave the DID out.',
  InvalidEpochRange: 'fromEpoch must not be above toEpoch nor beyond the current epoch. Call getEpoch for that.',
  InvalidGroupId: 'The group id must be the hex of 1 to 64 bytes. Send the MLS group id in hex.',
  InvalidGroupInfo: 'The GroupInfo is not one of this group and epoch. Export it again after applying the last commit.',
  InvalidKeyPackage:
    'The key package is malformed or wrongly signed, or its credential is not your DID. Make a new one.',
  InvalidKeyPackages: 'A key package is malformed or wrongly signed, or its credential is not your DID. Make new ones.',
  InvalidMaxMembers: 'The conversation has more members than that. Choose a larger number, or remove members first.',
  InvalidPSKHash: 'The hash is not 64 hex digits. Send the SHA-256 of the secret in hex.',
  InvalidSignatureKey: 'The signature key is not the one in the key packages. Send the one they were signed with.',
  InvalidWelcome:
    'The Welcome does not match key packages that were handed out to you. Fetch key packages and make it again.',
  InviteNotFound: 'There is no such invite. Call listInvites.',
  IsAdmin: 'That person is an admin. Demote them first.',
  KeyPackageAlreadyConsumed: 'Your key package has been used. Ask a member to add you again with a new one.',
  KeyPackageNotFound:
    'A key package was not handed out to you or another member, or has been used. Fetch new ones and make the Welcome again.',
  KeyPackageReserved: 'Another Welcome waits for that key package. Fetch it with getWelcome.',
  MessageTooLarge: 'The message is larger than the largest size bucket. Split it.',
  NoActiveMembers:
    'The conversation has no other active member who could help. Join by external commit, or create a new conversation.',
  NoFieldsProvided: 'Name at least one setting to change.',
  NotAdmin: 'Only an admin may do this. Ask one.',
  NotAdminTarget: 'That person is not an admin. Nothing is left to do.',
  NotAuthorized: 'Name a conversation of which you are an admin.',
  NotClaimed: 'You have no claim on this device addition. Call claimPendingDeviceAddition first.',
  NotFound: 'No Welcome waits for you in this conversation. Join by external commit, or call readdition.',
  NotMember: 'You are no longer a member of this conversation. Ask a member to add you again.',
  LastAdmin: 'You are the only admin. Make another member admin first.',
  NotModerator: 'That person is not a moderator. Nothing is left to do.',
  PolicyViolation: "The conversation's policy does not allow it. Ask an admin.",
  ReportNotFound: 'There is no such report. Call getReports.',
  RateLimited: 'You have sent the maximum number of chat requests for today. Wait as long as Retry-After says.',
  RecipientNotFound: 'The recipient is not a DID. Send theirs.',
  RequestExpired: 'The request waited too long. Ask the sender to make a new one.',
  RequestNotFound: 'There is no such request. Call listChatRequests.',
  SelfRequest: 'You cannot send a request to yourself. Name another person.',
  TargetNotMember: 'That person is not a member of this conversation. Check the list of members.',
  TooManyConnections: 'You have too many open subscriptions. Close one first.',
  TooManyConversations: 'You are in the maximum number of conversations. Leave one first.',
  TooManyDevices: 'You have the maximum number of devices. Delete one first.',
  TooManyInvites: 'The conversation has the maximum number of invites. Revoke one first.',
  TooManyKeyPackages: 'The device has the maximum number of unused key packages. Publish more when some are used.',
  TooManyMembers: 'The conversation would have too many members. Add fewer people.',
  TooManyReports:
    'You or the conversation has the maximum number of open reports. Wait until an admin has decided some.',
  WelcomeNotFound: 'No Welcome waits for you. Join by external commit, or ask a member to add you again.',
} as const;

export type DomainErrorCode = keyof typeof domainErrors;

/** Makes the refusal `code` with its fixed text. `detail` may contain only facts that concern the caller's request. */
export function domainError<Code extends DomainErrorCode>(code: Code, detail?: ErrorDetail): AppError<Code> {
  return new AppError(code, domainErrors[code], detail);
}
