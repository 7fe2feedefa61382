import type { MlsFormatError } from '#mls/encoding/mls-format-error.ts';
import { AppError } from '#platform/errors.ts';
import type { DomainErrorCode } from './domain-error.ts';

/**
 * The texts for error names that cover several rules, under keys that are not sent. Each text is fixed, contains no
 * data of the request, and says which rule was broken and what to do next.
 */
export const refusalReasons = {
  InvalidAsset: {
    msgIdForm:
      'msgId must be a ULID (26 letters and digits) or a UUID (8-4-4-4-12 hexadecimal digits). Choose an id of one of these forms.',
    notPaddedSize: 'ciphertext is not as long as paddedSize says. Let paddedSize be the number of bytes in ciphertext.',
    noBucket:
      'paddedSize must be 512, 1024, 2048, 4096 or 8192, or a multiple of 8192 up to 10485760. Pad the message to the next of these sizes.',
    heldNotPaddedSize:
      'A ciphertext in heldMessages is not as long as its paddedSize says. Let paddedSize be the number of bytes in ciphertext.',
    heldNoBucket:
      'A paddedSize in heldMessages must be 512, 1024, 2048, 4096 or 8192, or a multiple of 8192 up to 10485760. Pad the message to the next of these sizes.',
    isWelcome: 'ciphertext is an MLS Welcome. Send it as welcomeMessage of createConvo or addMembers, with its commit.',
    isGroupInfo: 'ciphertext is an MLS GroupInfo. Send it as groupInfo of updateGroupInfo.',
    isKeyPackage: 'ciphertext is an MLS KeyPackage. Publish it with publishKeyPackages.',
    ephemeralProposal:
      'The ciphertext is an MLS proposal as PublicMessage, which has to be stored. Send it without delivery ephemeral.',
    proposalIdentity:
      'The credential in the proposed leaf is not right: in an Update, and in an Add by a new member, it must be exactly your DID, in another Add a DID. Make the proposal again.',
    proposalSender:
      'The proposal is not signed by a leaf of yours in the MLS group of this epoch. Send it with the account that made it.',
    tooManyProposals:
      'This epoch has the maximum number or total size of proposals. Commit them with the method commit, or send the proposal in the next epoch.',
  },
  InvalidCipherSuite: {
    unknownName: 'cipherSuite is not the name of a supported cipher suite. Use a name that the lexicon lists.',
  },
  InvalidCommit: {
    addIdentity:
      'An Add in the commit has a key package whose credential is not a Basic credential with a DID. Leave it out and make the commit again.',
    addUndeclared:
      'The commit adds a person who is neither a member nor in didList. List every added person in didList of addMembers, or leave the Add out.',
    adminOnly:
      'The commit holds a ReInit or GroupContextExtensions proposal, which only admins may commit. Leave it out, or ask an admin.',
    externalCommit: 'The commit is an external commit. Send it with processExternalCommit.',
    externalIdentity:
      'The credential in the path of the external commit must be a Basic credential with exactly your DID, without a device part. Make the commit with such a credential.',
    externalRemovesOther:
      'The external commit removes a leaf that is not one of yours. Remove only an old leaf of your own, or none.',
    listedMemberNotAdded:
      'The commit does not add every person in didList who is not a member yet. Add a key package of each, or leave them out of didList.',
    notBase64: 'The commit is not base64. Encode it in base64 (RFC 4648), with or without padding.',
    notExternal:
      "The commit is not an external commit. Send a member's commit with commit, addMembers, removeMember or leaveConvo.",
    otherGroup:
      'The group id in the commit is not that of convoId. Send the commit to the conversation it was made for.',
    pathIdentity:
      'The leaf in the path of the commit has another credential than your DID. Make the commit with a device of the account that sends it.',
    removesCommitter:
      'The commit removes the leaf that made it, which MLS does not allow. Call leaveConvo without that Remove.',
    removesMember:
      'The commit removes a leaf of a member other than the target of the call. Leave the Remove out, or call removeMember for that person; a person who wants to leave calls leaveConvo first.',
    targetNotRemoved:
      'The commit holds no Remove for the person that the call removes. Remove every leaf of targetDid in it, or send no commit.',
    targetPartlyRemoved:
      'The commit leaves a leaf of the person that the call removes in the group. Remove every leaf of targetDid in it.',
    removesUnknown:
      'The commit removes a leaf that the MLS group of this epoch does not have. Make it again from the current state.',
    senderLeaf:
      'The commit is not signed by a leaf of yours in the MLS group of this epoch. Send it with the account that made it.',
    tooLarge:
      'The commit is larger than 10485760 bytes. Make a smaller one, for instance by adding fewer people at once.',
    unknownLeaves:
      'The commit removes leaves whose owners are unknown, because the service has no GroupInfo of this epoch. Call updateGroupInfo for the current epoch, then send the commit again.',
    unknownReference:
      'The commit refers to a proposal that was not sent in clear in this epoch, and the conversation demands plaintext handshakes. Put the proposal into the commit itself.',
    updateByValue:
      'The commit holds an Update by value, which MLS does not allow. Renew your own leaf by the path of the commit.',
    updateIdentity: 'The commit refers to an Update that changes the credential of a leaf. Leave it out.',
  },
  PolicyViolation: {
    groupInfoNeeded:
      'The conversation demands plaintext handshakes, so a commit has to come with the GroupInfo of the epoch after it. Send it in groupInfo.',
    handshakesEncrypted:
      'The conversation demands encrypted handshakes. Send the commit or proposal as MLS PrivateMessage.',
    handshakesPlaintext:
      'The conversation demands plaintext handshakes. Send the commit or proposal as MLS PublicMessage.',
  },
  InvalidGroupInfo: {
    notBase64: 'The groupInfo is not base64. Encode it in base64 (RFC 4648), with or without padding.',
    otherLeaves:
      'The ratchet tree of the groupInfo has other members than the group has after the commit. Export it after applying the commit that it comes with.',
    otherGroup: 'The groupInfo is of another MLS group than convoId or groupId says. Export it from that group.',
    otherEpoch:
      'The epoch of the groupInfo is not the one that the conversation has after this call. Export it after applying the commit that it comes with.',
    otherContext:
      'A groupInfo of this epoch is stored, and yours differs in GroupContext, confirmation tag or external_pub. Call getGroupInfo and getCommits, and compare.',
    otherSuite:
      "The groupInfo has another cipher suite than the conversation. Export it from the conversation's group.",
    unknownSuite: 'The service cannot check a groupInfo of this cipher suite. Use a supported suite.',
    repeatedExtension: 'An extension type appears twice in a list of the groupInfo. Export it with each type once.',
    noExternalPub: 'The groupInfo has no external_pub extension. Export it with the external public key.',
    externalPubLength:
      'The external_pub extension of the groupInfo does not hold one key as long as the encryption key of the signer. Export it again.',
    confirmationTagLength:
      'The confirmation tag of the groupInfo is not as long as a hash of the cipher suite. Export it again.',
    transcriptHashLength:
      'The confirmed transcript hash of the groupInfo is not as long as a hash of the cipher suite. Export it again.',
    noSignerLeaf: 'The signer of the groupInfo is a leaf that the ratchet tree does not have. Export it again.',
    unmergedLeaves:
      'An unmerged_leaves list in the ratchet tree of the groupInfo is not sorted or names a leaf that is not below its node. Export it again.',
    signature: "The signature of the groupInfo is not one by the signature key in its signer's leaf. Export it again.",
    treeHash: 'The ratchet tree of the groupInfo does not have the tree hash of its GroupContext. Export both at once.',
  },
  InvalidKeyPackage: {
    expired: 'The time in expires is in the past. Publish a key package that can still be used.',
    notBase64:
      'keyPackage is empty or not base64. Encode the KeyPackage in base64 (RFC 4648), with or without padding.',
    otherDeviceKey:
      'The signature key in the leaf of the key package is not the one that the device named by deviceId is registered with. Make the key package with that key, or register the device again.',
    tooLarge: 'The key package is larger than 49152 bytes. Make one with fewer extensions.',
    unregisteredKey:
      'The signature key in the leaf of the key package belongs to none of your registered devices. Register the device with registerDevice first.',
    usedBefore: 'This key package was published before and has been handed out, used or withdrawn. Make a new one.',
  },
  InvalidKeyPackages: {
    none: 'keyPackages is empty. Send at least one key package.',
    tooMany: 'keyPackages has more than 200 items. Register with fewer, and publish the rest with publishKeyPackages.',
  },
  InvalidSignatureKey: {
    otherThanKeyPackages:
      'signaturePublicKey is not the signature key in the leaf of each of the keyPackages. Send the key that they were signed with.',
    tooShort:
      'signaturePublicKey is shorter than 32 bytes. Send the whole MLS signature key, as it is in the leaf of the key packages.',
  },
  InvalidWelcome: {
    notBase64: 'The Welcome is not base64. Encode it in base64 (RFC 4648), with or without padding.',
    noCommit: 'The call has a Welcome without its commit. Send both in one call.',
    otherSuite: 'The Welcome has another cipher suite than the call names. Name the suite of the group.',
    ownerNotNamed:
      'The Welcome uses a key package of a person whom the call does not list. List every person whom the commit adds.',
    unknownSuite: 'The Welcome has an unsupported cipher suite. Use a supported one.',
    inGroup:
      'The chat request is an invitation to a group, whose members send the Welcome. Accept the request without one.',
  },
} as const satisfies Partial<Record<DomainErrorCode, Readonly<Record<string, string>>>>;

/** The sentences before and after the error text of the MLS reader. */
export const readerPhrases = {
  InvalidAsset: {
    lead: 'ciphertext is not a message of this conversation in the form that it must have.',
    remedy: 'Send what the MLS library made, padded inside or in the padding envelope.',
  },
  InvalidCommit: {
    lead: 'The commit cannot be read.',
    remedy: 'Send the MLSMessage that the MLS library made.',
  },
} as const satisfies Partial<Record<DomainErrorCode, { readonly lead: string; readonly remedy: string }>>;

type Reasons = typeof refusalReasons;

/** Makes a refusal with the text of the rule that the request breaks. */
export function refusalFor<Code extends keyof Reasons>(
  code: Code,
  reason: keyof Reasons[Code] & string,
): AppError<Code> {
  const texts: Readonly<Record<string, string>> = refusalReasons[code];
  return new AppError(code, texts[reason] ?? code);
}

/** Makes a refusal for bytes that the MLS reader does not accept, with the reader's error text. */
export function refusalByReader<Code extends keyof typeof readerPhrases>(
  code: Code,
  error: MlsFormatError,
): AppError<Code> {
  const { lead, remedy } = readerPhrases[code];
  return new AppError(code, `${lead} ${error.message} ${remedy}`);
}

/** Makes a refusal with `text`, which must be fixed and contain no data of the request. */
export function refusalWithText<Code extends DomainErrorCode>(code: Code, text: string): AppError<Code> {
  return new AppError(code, text);
}
