import { AppError } from '#platform/errors.ts';
import type { DomainErrorCode } from './domain-error.ts';

/**
 * Texts for error names that cover several rules. Each text names the field or the part of the bytes, says the rule, and says what
 * to do next. It is fixed and holds no data of the request. The key is the name of the rule; it is not sent.
 */
export const refusalReasons = {
  InvalidAsset: {},
  InvalidCommit: {},
  InvalidGroupInfo: {
    otherGroup: 'The groupInfo is of another MLS group than convoId or groupId says. Export it from that group.',
    otherEpoch:
      'The epoch of the groupInfo is not the one that the conversation has after this call. Export it after applying the commit that it comes with.',
    otherContext:
      'A groupInfo of this epoch is stored, and yours differs in GroupContext, confirmation tag or external_pub. Call getGroupInfo and getCommits, and compare.',
    otherSuite:
      "The groupInfo has another cipher suite than the conversation. Export it from the conversation's group.",
    unknownSuite: 'The service cannot check a groupInfo of this cipher suite. Use a suite that it knows.',
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
  InvalidKeyPackage: {},
  InvalidWelcome: {
    noCommit: 'A Welcome comes with the commit that it was made with. Send both in one call.',
    otherSuite: 'The Welcome has another cipher suite than the call names. Name the suite of the group.',
    ownerNotNamed:
      'The Welcome uses a key package of somebody whom the call does not name. Name everybody whom the commit adds.',
    unknownSuite: 'The Welcome has a cipher suite that the service does not know. Use one that it knows.',
    inGroup: 'The request invites to a group whose members send the Welcome. Accept the request without one.',
  },
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
