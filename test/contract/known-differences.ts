const suite = 'the service supports this suite too';
const device = 'a token identifies a person, so the caller names the device';
const firstAnswer = 'a repeated call must not have a second effect';
const ofConversations = 'in every method ConvoNotFound is for non-members and NotMember for removed members';

/**
 * Every difference from the reference lexicons, with its reason. `+` is only in our lexicons, `-` only in the reference; `*` matches any
 * method or definition. Added fields are optional, and changed limits are wider.
 */
export const knownDifferences: Readonly<Record<string, string>> = {
  '+ commit': 'a commit that changes no membership needs a method',
  '+ confirmWelcome': 'clients of the seed set call it',
  '+ getWelcome': 'clients of the seed set call it',
  '+ streamConvoEvents': 'clients of the seed set call it',
  '+ updateCursor': 'clients of the seed set call it',

  '+ *.properties.cipherSuite.knownValues.MLS_256_DHKEMP384_AES256GCM_SHA384_P384': suite,
  '+ *.properties.cipherSuite.knownValues.MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519': suite,
  '+ *.main.input.schema.properties.deviceId': device,
  '+ *.main.parameters.properties.deviceId': device,
  '+ publishKeyPackages.keyPackageItem.properties.deviceId': device,
  '+ *.main.input.schema.properties.groupInfo': 'others can then join by external commit at once',
  '+ *.main.input.schema.properties.idempotencyKey': firstAnswer,
  '+ processExternalCommit.main.input.schema.properties.pskHash':
    'an invited person has to send the hash of the invite',
  '+ getGroupInfo.main.parameters.properties.pskHash': 'an invited person needs the GroupInfo to join',
  '+ getReports.main.output.schema.properties.cursor': 'a conversation may have more reports than a page',
  '+ getReports.main.parameters.properties.cursor': 'a conversation may have more reports than a page',
  '+ getReports.reportView.properties.action': 'other admins see what was decided',
  '+ getReports.reportView.properties.category': 'an admin sees what kind of thing is reported',
  '+ getReports.reportView.properties.messageIds': 'an admin sees which messages are meant',
  '+ getReports.reportView.properties.notes': 'other admins see what was noted',
  '+ registerDevice.main.input.schema.properties.deviceUUID.maxLength':
    'it is stored; the ids of installations are UUIDs of 36 characters',
  '+ registerDevice.main.input.schema.properties.deviceUuid': 'public clients spell it so',
  '+ defs.convoView.properties.needsRemovalCommit': 'members must learn whose removal a commit still has to carry out',
  '+ defs.messageView.properties.digest': 'no sender is stored, so a client must identify its own commit',
  '+ getCommits.commitMessage.properties.digest': 'no sender is stored, so a client must identify its own commit',
  '+ publishKeyPackage.main.output.schema.properties.warning': 'a package may fit no device',
  '+ publishKeyPackages.main.output.schema.properties.warning': 'a package may fit no device',
  '+ rejoin.main.output.schema.properties.warning': 'a package may fit no device',
  '+ publishKeyPackages.batchError.properties.message': 'one error name is used for several rules',
  '+ subscribeConvoEvents.infoEvent.properties.available': 'the stream reports a device with few key packages left',
  '+ subscribeConvoEvents.infoEvent.properties.code':
    'a stream begins with its cursor, and reports devices with few key packages left',
  '+ subscribeConvoEvents.infoEvent.properties.deviceId': 'the stream reports a device with few key packages left',
  '+ subscribeConvoEvents.infoEvent.properties.convoId': 'a warning reaches the warned person as an infoEvent',
  '+ subscribeConvoEvents.infoEvent.properties.reason': 'a warning reaches the warned person as an infoEvent',
  '+ subscribeConvoEvents.infoEvent.properties.warningId': 'a warning reaches the warned person as an infoEvent',
  '+ subscribeConvoEvents.main.parameters.properties.ticket': 'public clients send it in the query',
  '+ subscribeConvoEvents.membershipChangeEvent.properties.action.knownValues.roleChanged':
    'members learn of a changed role, and public clients skip an action that they do not know',
  '+ subscribeConvoEvents.membershipChangeEvent.properties.role': 'members learn of a changed role',
  '+ subscribeConvoEvents.messageEvent.properties.ephemeral': 'distinguishes messages that are not stored',

  '+ getKeyPackages.main.parameters.properties.asMlsMessage': 'some MLS libraries read no bare KeyPackage',
  '+ claimPendingDeviceAddition.main.input.schema.properties.asMlsMessage':
    'some MLS libraries read no bare KeyPackage',
  '+ updatePolicy.main.input.schema.properties.handshakes': 'a group may demand commits that the service can check',
  '+ updatePolicy.policyView.properties.handshakes': 'a group may demand commits that the service can check',

  '- createConvo.main.input.schema.properties.currentEpoch.default':
    '"left out" depends on whether a Welcome comes with it',
  '- getCommits.commitMessage.required.sender': 'no sender is stored',
  '- publishKeyPackages.main.input.schema.properties.keyPackages.maxItems': 'BatchTooLarge is sent for it',
  '- publishKeyPackages.main.input.schema.properties.keyPackages.minItems': 'InvalidBatch is sent for it',
  '- registerDevice.main.input.schema.properties.keyPackages.maxItems': 'lexicons say maxLength',
  '- registerDevice.main.input.schema.properties.keyPackages.minItems': 'lexicons say minLength',
  '+ registerDevice.main.input.schema.properties.keyPackages.maxLength': 'the reference says maxItems',
  '+ registerDevice.main.input.schema.properties.keyPackages.minLength': 'the reference says minItems',
  '- sendChatRequest.main.input.schema.properties.heldMessages.maxItems': 'lexicons say maxLength',
  '+ sendChatRequest.main.input.schema.properties.heldMessages.maxLength': 'the reference says maxItems',
  'defs.keyPackageRef.properties.keyPackageHash.maxLength: 64 → 128':
    'KeyPackageRefs of suites with SHA-384 and SHA-512 are longer',
  'registerDevice.main.input.schema.properties.deviceName.maxLength: 100 → 128': 'the seed set allows 128',
  'registerDevice.main.input.schema.properties.signaturePublicKey.maxLength: 32 → 4096':
    'keys of the other suites are longer',
  'removeMember.main.input.schema.properties.idempotencyKey.maxLength: 26 → 36': 'public clients send UUIDs',
  '- sendMessage.main.input.schema.properties.ciphertext.maxLength': 'MessageTooLarge is sent for it',
  '- sendMessage.main.input.schema.properties.paddedSize.maximum': 'MessageTooLarge is sent for it',
  'sendMessage.main.input.schema.properties.msgId.maxLength: 26 → 36': 'public clients send UUIDs',

  '+ *.main.errors.BlueskyServiceUnavailable': 'block records are in repositories that may be unavailable',
  '+ *.main.errors.ConvoAlreadyExists': 'a taken group id needs a name',
  '+ *.main.errors.ConvoNotFound': ofConversations,
  '+ *.main.errors.NotMember': ofConversations,
  '+ *.main.errors.ConsumerTooSlow': 'a subscriber that is cut must learn why',
  '+ *.main.errors.DeviceNotFound': 'the device that was named may not be there',
  '+ *.main.errors.EpochMismatch': 'a lost race for an epoch needs a name, and the epoch now',
  '+ *.main.errors.IdempotencyKeyReused': 'the first response would be wrong for another input',
  '+ *.main.errors.InvalidAsset': 'held messages fill a size bucket',
  '+ *.main.errors.JwtRevoked': 'a subscriber whose tokens an operator refuses must learn why',
  '+ *.main.errors.KeyPackageNotFound': 'a Welcome may name packages that are not there',
  '+ *.main.errors.InvalidCipherSuite': 'the suite named and the bytes may differ',
  '+ *.main.errors.InvalidCommit': 'commits are checked',
  '+ *.main.errors.InvalidCursor': 'cursors are checked',
  '+ *.main.errors.InvalidGroupId': 'group ids are checked',
  '+ *.main.errors.InvalidGroupInfo': 'GroupInfos are checked',
  '+ *.main.errors.InvalidWelcome': 'Welcomes are checked',
  '+ *.main.errors.LastAdmin': 'a conversation never goes without an admin',
  '+ *.main.errors.NotAdmin': 'one name for a member without the role, in place of Unauthorized',
  '+ *.main.errors.PolicyViolation': 'a refusal by policy needs a name',
  '+ *.main.errors.RequestNotFound': 'the request that was named may not be there',
  '+ *.main.errors.TargetNotMember': 'distinguishes a missing target from a caller who is not a member',
  '+ *.main.errors.TooManyConnections': 'subscriptions of an account are bounded',
  '+ *.main.errors.TooManyConversations': 'conversations of an account are bounded',
  '+ *.main.errors.TooManyMembers': 'members of a conversation are bounded',
  '+ *.main.errors.TooManyInvites': 'invites of a conversation are bounded',
  '+ rejoin.main.errors.TooManyKeyPackages': 'packages of a device are bounded',
  '+ *.main.errors.TooManyReports': 'open reports are bounded',
};
