/**
 * Declared names that are never sent, with the reason: `Name` in any method, `method.Name` in one. Old clients know them, so they
 * stay declared.
 */
export const neverSent: Readonly<Record<string, string>> = {
  'addMembers.AlreadyMember': 'adding a member again has no effect',
  BlockedByMember: 'the service does not look at blocks when members are added',
  BlockedByRecipient: 'a blocked sender must not learn of it',
  ConversationNotFound: 'ConvoNotFound is sent in its place',
  ExpirationTooFar: 'longer lifetimes are shortened',
  MutualBlockDetected: 'it would tell the caller about blocks between others',
  NotFound: 'ConvoNotFound is sent in its place',
  RateLimited: 'RateLimitExceeded is sent in its place',
  RecipientMismatch: 'it would tell whose key package a Welcome names; KeyPackageNotFound is sent in its place',
  RecipientNotFound: 'it would tell who uses the service',
  TooManyDids: 'the lexicon check answers InvalidRequest first',
  Unauthorized: 'it would tell that a conversation or device exists',
};
