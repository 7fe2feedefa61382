import { AppError } from '#platform/errors.ts';
import type { DomainErrorCode } from './domain-error.ts';

/**
 * Texts for error names that cover several rules. Each text names the field or the part of the bytes, says the rule, and says what
 * to do next. It is fixed and holds no data of the request. The key is the name of the rule; it is not sent.
 */
export const refusalReasons = {
  InvalidAsset: {
    ephemeralProposal:
      'The ciphertext is an MLS proposal as PublicMessage, which has to be stored. Send it without delivery ephemeral.',
    proposalIdentity:
      'The credential in the proposed leaf is not right: in an Update, and in an Add by a new member, it must be exactly your DID, in another Add a DID. Make the proposal again.',
    proposalSender:
      'The proposal is not signed by a leaf of yours in the MLS group of this epoch. Send it with the account that made it.',
    tooManyProposals:
      'As many proposals wait in this epoch as may wait. Commit them with the method commit, or send the proposal in the next epoch.',
  },
  InvalidCommit: {
    addIdentity:
      'An Add in the commit has a key package whose credential is not a Basic credential with a DID. Leave it out and make the commit again.',
    addUndeclared:
      'The commit adds somebody who is neither a member nor in didList. Name everybody who is added in didList of addMembers, or leave the Add out.',
    adminOnly:
      'The commit holds a ReInit or GroupContextExtensions proposal, which only admins may commit. Leave it out, or ask an admin.',
    externalCommit: 'The commit is an external commit. Send it with processExternalCommit.',
    externalRemovesOther:
      'The external commit removes a leaf that is not one of yours. Remove only an old leaf of your own, or none.',
    newcomerNotAdded:
      'The commit does not add everybody in didList who is no member yet. Add a key package of each, or leave them out of didList.',
    pathIdentity:
      'The leaf in the path of the commit has another credential than your DID. Make the commit with a device of the account that sends it.',
    removesCommitter:
      'The commit removes the leaf that made it, which MLS does not allow. Call leaveConvo without that Remove.',
    removesMember:
      'The commit removes a leaf of a member who is not the one that the call removes. Leave the Remove out, or call removeMember for that person; who wants to go calls leaveConvo first.',
    removesNobody:
      'The commit holds no Remove for the person that the call removes. Remove every leaf of targetDid in it, or send no commit.',
    removesNotAll:
      'The commit leaves a leaf of the person that the call removes in the group. Remove every leaf of targetDid in it.',
    removesUnknown:
      'The commit removes a leaf that the MLS group of this epoch does not have. Make it again from the current state.',
    senderLeaf:
      'The commit is not signed by a leaf of yours in the MLS group of this epoch. Send it with the account that made it.',
    unknownLeaves:
      'The commit removes leaves, and the service cannot tell whose they are: it has no GroupInfo of this epoch. Call updateGroupInfo for the current epoch, then send the commit again.',
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
  InvalidGroupInfo: {},
  InvalidKeyPackage: {},
  InvalidWelcome: {},
} as const satisfies Partial<Record<DomainErrorCode, Readonly<Record<string, string>>>>;

type Reasons = typeof refusalReasons;

/** A refusal with the text of the rule that the request breaks. */
export function refusalFor<Code extends keyof Reasons>(
  code: Code,
  reason: keyof Reasons[Code] & string,
): AppError<Code> {
  const texts: Readonly<Record<string, string>> = refusalReasons[code];
  return new AppError(code, texts[reason] ?? code);
}

/** A refusal with a text that the reader of MLS structures gave; `text` must be fixed and hold no data of the request. */
export function refusalWithText<Code extends DomainErrorCode>(code: Code, text: string): AppError<Code> {
  return new AppError(code, text);
}
