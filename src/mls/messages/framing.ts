import type { SuiteHash } from '../cipher-suites.ts';
import type { CommitShape, CommittedProposal, ProposalShape } from './handshake-structure.ts';
import { refHash } from '../encoding/labelled.ts';
import { MlsFormatError } from '../encoding/mls-format-error.ts';
import { type PrivateMessageHeader, type PublicMessageHeader, readMlsMessage, type SenderType } from './mls-message.ts';
import { readPaddedMessage } from '../encoding/padding-envelope.ts';

/** The conversation and epoch in a request, which its message must belong to. */
export interface ExpectedFraming {
  readonly groupId: Uint8Array;
  readonly epoch: number;
}

/** The content of a member's cleartext commit. Byte arrays are views on the input. */
export interface CommitContent {
  /** The leaf of the committer. */
  readonly senderLeafIndex: number;
  /** The committer's new leaf; absent in a commit without a path. */
  readonly path: { readonly identity: Uint8Array | undefined } | undefined;
  readonly proposals: readonly CommittedProposal[];
}

/** The fields of a Commit that the service can read. */
export interface CommitFraming {
  /** A view on the input. */
  readonly groupId: Uint8Array;
  /** The epoch that the commit ends; the next epoch is one higher. */
  readonly epoch: number;
  /** Whether a new member made the commit to join, RFC 9420 section 12.4.3.2. */
  readonly external: boolean;
  /** Whether it is a PrivateMessage, whose committer and proposals the service cannot read. */
  readonly encrypted: boolean;
  /** Present exactly when `external`. */
  readonly joiner: Joiner | undefined;
  /** Present exactly when neither `external` nor `encrypted`. */
  readonly content: CommitContent | undefined;
}

/** The new member of an external commit. Byte arrays are views on the input. */
export interface Joiner {
  /** Identity of a Basic credential. */
  readonly identity: Uint8Array | undefined;
  /** The leaf that the commit removes, if any; members accept only an older leaf of the same person. */
  readonly removedLeafIndex: number | undefined;
  /** Ids of the external PSKs of the commit, at most `EXTERNAL_PSK_IDS_MAX`. */
  readonly externalPskIds: readonly Uint8Array[];
}

/** A proposal that was sent as a PublicMessage. Byte arrays are views on the input. */
export interface ClearProposal {
  readonly groupId: Uint8Array;
  readonly epoch: number;
  readonly senderType: SenderType;
  /** Present when `senderType` is `member`. */
  readonly senderLeafIndex: number | undefined;
  readonly proposal: ProposalShape;
  /** AuthenticatedContent, which the ProposalRef is computed over. */
  readonly authenticatedContent: Uint8Array;
}

/** The content of a padded message: a PrivateMessage, or a cleartext proposal. */
export type GroupMessage =
  | { readonly kind: 'encrypted'; readonly header: PrivateMessageHeader }
  | { readonly kind: 'clearProposal'; readonly proposal: ClearProposal };

/** Ids beyond this number are ignored; an external commit needs one, for its invite. */
const EXTERNAL_PSK_IDS_MAX = 8;

/**
 * Reads a padded message of this group and epoch: a PrivateMessage with application data or a proposal, or a PublicMessage with a
 * proposal. Refuses commits, because a commit sent as a message would fork the group. Does not check that the size is a bucket.
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
 * Reads a stored cleartext proposal.
 * @throws MlsFormatError on any other input.
 */
export function readClearProposal(padded: Uint8Array): ClearProposal {
  const { header } = readPaddedMessage(padded);
  if (header.wireFormat !== 'publicMessage') throw new MlsFormatError('The message is not an MLS proposal in clear.');
  return clearProposalOf(header);
}

/** Computes the ProposalRef, RFC 9420 section 5.2, with the hash function of the group's suite. */
export function proposalRef(proposal: ClearProposal, hash: SuiteHash): Uint8Array {
  return refHash('MLS 1.0 Proposal Reference', proposal.authenticatedContent, hash);
}

/**
 * Reads a Commit that fills `bytes` exactly: a PublicMessage from a member or from a new member, or a PrivateMessage.
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
 * Reads the joiner of an external commit, which has a path, exactly one ExternalInit, at most one Remove, any number of PreSharedKeys,
 * and no other proposals (RFC 9420 section 12.4.3.2).
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
