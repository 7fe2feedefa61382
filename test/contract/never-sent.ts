/**
 * Declared names that are never sent, with the reason: `Name` in any method, `method.Name` in one. Old clients know them, so they
 * stay declared.
 */
export const neverSent: Readonly<Record<string, string>> = {
  'addMembers.AlreadyMember': 'adding a member again has no effect',
  BlockedByMember: 'KeyPackageNotFound is sent in its place, as for somebody who has no key packages',
  BlockedByRecipient: 'a blocked sender must not learn of it',
  ConversationNotFound: 'ConvoNotFound is sent in its place',
  'createConvo.TooManyMembers': 'the lexicon check answers InvalidRequest first',
  ExpirationTooFar: 'longer lifetimes are shortened',
  'getBlockStatus.NotAdmin': 'every member may ask about their own conflicts',
  'getKeyPackages.InvalidDid': 'the lexicon check answers InvalidRequest first',
  'getMessages.InvalidCursor': 'every number is a place to go on from',
  'leaveConvo.LastMember': 'the last member may leave',
  MutualBlockDetected: 'it would tell the caller about blocks between others',
  'getGroupInfo.NotFound': 'ConvoNotFound is sent in its place',
  'readdition.NotFound': 'ConvoNotFound is sent in its place',
  'rejoin.AlreadyMember': 'the service cannot see whether a device has its state',
  RecipientMismatch: 'it would tell whose key package a Welcome names; KeyPackageNotFound is sent in its place',
  'registerDevice.DeviceAlreadyRegistered': 'registering again renews the device',
  'streamConvoEvents.InvalidCursor': 'a stream with such a cursor starts now, with an infoEvent that says so',
  'subscribeConvoEvents.InvalidCursor': 'a stream with such a cursor starts now, with an infoEvent that says so',
  TooManyDids: 'the lexicon check answers InvalidRequest first',
  Unauthorized: 'it would tell that a conversation or device exists',
};
