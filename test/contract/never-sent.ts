/**
 * Declared errors that are never sent, with the reason: `Name` in any method, `method.Name` in one. They stay declared because old
 * clients handle them.
 */
export const neverSent: Readonly<Record<string, string>> = {
  'addMembers.AlreadyMember': 'adding a member again has no effect',
  BlockedByMember: 'KeyPackageNotFound is sent in its place, as for a person without key packages',
  BlockedByRecipient: 'a blocked sender must not learn of the block',
  ConversationNotFound: 'ConvoNotFound is sent in its place',
  'createConvo.TooManyMembers': 'the lexicon check responds with InvalidRequest first',
  ExpirationTooFar: 'longer lifetimes are shortened',
  'getBlockStatus.NotAdmin': 'every member may read their own conflicts',
  'getKeyPackages.InvalidDid': 'the lexicon check responds with InvalidRequest first',
  'getMessages.InvalidCursor': 'every number is a valid cursor',
  'leaveConvo.LastMember': 'the last member may leave',
  MutualBlockDetected: 'it would reveal blocks between other people',
  'getGroupInfo.NotFound': 'ConvoNotFound is sent in its place',
  'readdition.NotFound': 'ConvoNotFound is sent in its place',
  'rejoin.AlreadyMember': 'the service cannot see whether a device has its state',
  RecipientMismatch: 'it would reveal the owner of a key package in a Welcome; KeyPackageNotFound is sent in its place',
  'registerDevice.DeviceAlreadyRegistered': 'registering again renews the device',
  'streamConvoEvents.InvalidCursor': 'a stream with such a cursor starts now, with an infoEvent that says so',
  'subscribeConvoEvents.InvalidCursor': 'a stream with such a cursor starts now, with an infoEvent that says so',
  TooManyDids: 'the lexicon check responds with InvalidRequest first',
  Unauthorized: 'it would reveal that a conversation or device exists',
};
