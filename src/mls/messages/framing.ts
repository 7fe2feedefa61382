import type { SuiteHash } from '../cipher-suites.ts';
import type { CommitShape, CommittedProposal, ProposalShape } from './handshake-structure.ts';
import { refHash } from '../encoding/labelled.ts';
import { MlsFormatError } from '../encoding/mls-format-error.ts';
import { type PrivateMessageHeader, type PublicMessageHeader, readMlsMessage, type SenderType } from './mls-message.ts';
import { readPaddedMessage } from '../encoding/padding-envelope.ts';

/** The group and epoch that a request names, and that the message in the request must belong to. */
export interface ExpectedFraming {
  readonly groupId: Uint8Array;
  readonly epoch: number;
}

/** The content of a member's cleartext commit. Byte arrays are views on the input. */
export interface CommitContent {
  /** Leaf index of the committer. */
  readonly senderLeafIndex: number;
  /** The new leaf of the committer, or undefined in a commit without a path. */
  readonly path: { readonly identity: Uint8Array | undefined } | undefined;
  readonly proposals: readonly CommittedProposal[];
}

/** The fields of a Commit that the service can read. */
export interface CommitFraming {
  /** The group id as a view on the input. */
  readonly groupId: Uint8Array;
  /** The epoch in which the commit was made. The commit starts the next epoch. */
  readonly epoch: number;
  /** True if a new member made the commit in order to join (RFC 9420 section 12.4.3.2). */
  readonly external: boolean;
  /** True if the commit is a PrivateMessage, whose committer and proposals the service cannot read. */
  readonly encrypted: boolean;
  /** Undefined unless `external` is true. */
  readonly joiner: Joiner | undefined;
  /** Undefined if `external` or `encrypted` is true. */
  readonly content: CommitContent | undefined;
}

/** The new member of an external commit. Byte arrays are views on the input. */
export interface Joiner {
  /** Identity of a Basic credential, or undefined for another credential. */
  readonly identity: Uint8Array | undefined;
  /**
   * Index of the leaf that the commit removes, if any. Members accept only the removal of an older leaf of the joiner.
   */
  readonly removedLeafIndex: number | undefined;
  /** Ids of the external PSKs of the commit, at most `EXTERNAL_PSK_IDS_MAX`. */
  readonly externalPskIds: readonly Uint8Array[];
}

/** A proposal that was sent in cleartext as a PublicMessage. Byte arrays are views on the input. */
export interface ClearProposal {
  readonly groupId: Uint8Array;
  readonly epoch: number;
  readonly senderType: SenderType;
  /** Undefined unless `senderType` is `member`. */
  readonly senderLeafIndex: number | undefined;
  readonly proposal: ProposalShape;
  /** The AuthenticatedContent, from which the ProposalRef is computed. */
  readonly authenticatedContent: Uint8Array;
}

/** The content of a padded message, which is either a PrivateMessage or a cleartext proposal. */
export type GroupMessage =
  | { readonly kind: 'encrypted'; readonly header: PrivateMessageHeader }
  | { readonly kind: 'clearProposal'; readonly proposal: ClearProposal };

/** Ids beyond this number are ignored, because an external commit needs only the one of its invite. */
const EXTERNAL_PSK_IDS_MAX = 8;

/**
 * Reads a padded message of the expected group and epoch. The message is a PrivateMessage with application data or a
 * proposal, or a PublicMessage with a proposal. Refuses commits, because a commit sent as a message would fork the
 * group. Does not check that the size is allowed for padded messages.
 * @throws MlsFormatError on any other input.
 */
export function readGroupMessage(padded: Uint8Array, expected: ExpectedFraming): GroupMessage {
  const { header } = readPaddedMessage(padded);
  if (header.wireFormat !== 'privateMessage' && header.wireFormat !== 'publicMessage') {
    throw new MlsFormatError('The message is neither an MLS PrivateMessage nor an MLS proposal.');
  }
  if (header.contentType === 'commit') {
    throw new MlsFormatError(
      'The message is an MLS commit; send it with the method commit, or with addMembers, removeMember, leaveConvo or processExternalCommit.',
    );
  }
  if (Buffer.compare(header.groupId, expected.groupId) !== 0) {
    throw new MlsFormatError('The message is of another MLS group than convoId names.');
  }
  if (header.epoch !== expected.epoch) {
    throw new MlsFormatError('The message is of another MLS epoch than the field epoch names.');
  }
  if (header.wireFormat === 'privateMessage') return { kind: 'encrypted', header };
  return { kind: 'clearProposal', proposal: clearProposalOf(header) };
}

function clearProposalOf(header: PublicMessageHeader): ClearProposal {
  const { proposal, senderType } = header;
  if (proposal === undefined) {
    throw new MlsFormatError(
      'The message is application data as an MLS PublicMessage; encrypt it as a PrivateMessage.',
    );
  }
  const isNewMember = senderType === 'new_member_proposal';
  if (isNewMember && proposal.type !== 'add') {
    throw new MlsFormatError('The sender type of the proposal does not fit it: a new member proposes an Add.');
  }
  if (proposal.type === 'externalInit' || (senderType === 'external' && proposal.type === 'update')) {
    throw new MlsFormatError('The sender type of the proposal does not fit it.');
  }
  return { ...header, proposal };
}

/**
 * Reads a cleartext proposal from a stored padded message.
 * @throws MlsFormatError on any other input.
 */
export function readClearProposal(padded: Uint8Array): ClearProposal {
  const { header } = readPaddedMessage(padded);
  if (header.wireFormat !== 'publicMessage') throw new MlsFormatError('The message is not an MLS proposal in clear.');
  return clearProposalOf(header);
}

/** Computes the ProposalRef (RFC 9420 section 5.2) with the hash function of the group's suite. */
export function proposalRef(proposal: ClearProposal, hash: SuiteHash): Uint8Array {
  return refHash('MLS 1.0 Proposal Reference', proposal.authenticatedContent, hash);
}

/**
 * Reads a Commit that fills `bytes` exactly. The commit is a PublicMessage of a member or of a new member, or a
 * PrivateMessage.
 * @throws MlsFormatError on any other input.
 */
export function readCommit(bytes: Uint8Array): CommitFraming {
  const header = readMlsMessage(bytes);
  if (header.wireFormat === 'privateMessage' && header.contentType === 'commit') {
    const { groupId, epoch } = header;
    return { groupId, epoch, external: false, encrypted: true, joiner: undefined, content: undefined };
  }
  if (header.wireFormat !== 'publicMessage' || header.commit === undefined) {
    throw new MlsFormatError('The commit is not an MLS commit.');
  }
  const { groupId, epoch, commit, senderLeafIndex } = header;
  if (senderLeafIndex === undefined) {
    return { groupId, epoch, external: true, encrypted: false, joiner: readJoiner(commit), content: undefined };
  }
  if (commit.proposals.some(({ type }) => type === 'externalInit')) throw senderTypeMismatch();
  const content = {
    senderLeafIndex,
    path: commit.pathLeaf && { identity: commit.pathLeaf.basicIdentity },
    proposals: commit.proposals,
  };
  return { groupId, epoch, external: false, encrypted: false, joiner: undefined, content };
}

/**
 * Reads the joiner of an external commit. The commit must have a path, exactly one ExternalInit and at most one Remove,
 * may have PreSharedKeys, and must have no other proposals (RFC 9420 section 12.4.3.2).
 */
function readJoiner({ pathLeaf, proposals }: CommitShape): Joiner {
  const removed = proposals.flatMap((proposal) => (proposal.type === 'remove' ? [proposal.leafIndex] : []));
  const externalInits = proposals.filter(({ type }) => type === 'externalInit').length;
  const isOther = ({ type }: CommittedProposal): boolean => !['externalInit', 'remove', 'psk'].includes(type);
  const fits = externalInits === 1 && removed.length <= 1 && !proposals.some(isOther);
  if (pathLeaf === undefined || !fits) throw senderTypeMismatch();
  const pskIds = proposals.flatMap((proposal) =>
    proposal.type === 'psk' && proposal.externalId !== undefined ? [proposal.externalId] : [],
  );
  return {
    identity: pathLeaf.basicIdentity,
    removedLeafIndex: removed[0],
    externalPskIds: pskIds.slice(0, EXTERNAL_PSK_IDS_MAX),
  };
}

function senderTypeMismatch(): MlsFormatError {
  return new MlsFormatError('The sender type of the commit does not fit its proposals.');
}
