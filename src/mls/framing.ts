import type { CommitShape } from './handshake-structure.ts';
import { MlsFormatError } from './mls-format-error.ts';
import { type PrivateMessageHeader, readMlsMessage } from './mls-message.ts';
import { readPaddedMessage } from './padding-envelope.ts';

/** The conversation and epoch that a call claims its message belongs to. */
export interface ExpectedFraming {
  readonly groupId: Uint8Array;
  readonly epoch: number;
}

/** What the service learns from a Commit. */
export interface CommitFraming {
  /** A view on the input. */
  readonly groupId: Uint8Array;
  /** The epoch that the commit ends; the new one is one higher. */
  readonly epoch: number;
  /** Made by somebody who joins by it, RFC 9420 section 12.4.3.2. */
  readonly external: boolean;
  /** A PrivateMessage: the service cannot tell who sent it nor what it changes. */
  readonly encrypted: boolean;
  /** Present exactly when `external`. */
  readonly joiner: Joiner | undefined;
}

/** Who joins by an external commit; byte arrays are views on the input. */
export interface Joiner {
  /** Identity of a Basic credential. */
  readonly identity: Uint8Array | undefined;
  /** Removes a leaf, which members accept only if it is an old one of the same person. */
  readonly removesLeaf: boolean;
  /** Ids of the external PSKs that the commit mixes in. */
  readonly externalPskIds: readonly Uint8Array[];
}

/**
 * Checks a padded message of a conversation: a PrivateMessage with application data or a proposal, of this group and
 * epoch. A commit here would fork the group, so only the commit methods carry commits; a PublicMessage would show the
 * sender's leaf. Does not check that the size is a bucket.
 * @throws MlsFormatError on anything else.
 */
export function checkApplicationFraming(padded: Uint8Array, expected: ExpectedFraming): PrivateMessageHeader {
  const { header } = readPaddedMessage(padded);
  if (header.wireFormat !== 'privateMessage') {
    throw new MlsFormatError('The message is not an MLS PrivateMessage; nothing else hides its sender.');
  }
  if (header.contentType === 'commit') {
    throw new MlsFormatError('The message is an MLS commit; send commits with the methods that change the group.');
  }
  if (Buffer.compare(header.groupId, expected.groupId) !== 0) {
    throw new MlsFormatError('The message is of another MLS group than convoId names.');
  }
  if (header.epoch !== expected.epoch) {
    throw new MlsFormatError('The message is of another MLS epoch than the field epoch names.');
  }
  return header;
}

/**
 * Reads a Commit that fills `bytes` exactly: a PublicMessage from a member or from a new member, or a PrivateMessage.
 * @throws MlsFormatError on anything else.
 */
export function readCommit(bytes: Uint8Array): CommitFraming {
  const header = readMlsMessage(bytes);
  if (header.wireFormat === 'privateMessage' && header.contentType === 'commit') {
    return { groupId: header.groupId, epoch: header.epoch, external: false, encrypted: true, joiner: undefined };
  }
  if (header.wireFormat !== 'publicMessage' || header.commit === undefined) {
    throw new MlsFormatError('The commit is not an MLS commit.');
  }
  const external = header.senderType === 'new_member_commit';
  const joiner = external ? readJoiner(header.commit) : undefined;
  if (!external && header.commit.externalInitCount !== 0) throw misfit();
  return { groupId: header.groupId, epoch: header.epoch, external, encrypted: false, joiner };
}

/**
 * RFC 9420 section 12.4.3.2: an external commit has a path, exactly one ExternalInit, at most one Remove, any number of
 * PreSharedKeys, and nothing else.
 */
function readJoiner(commit: CommitShape): Joiner {
  const { pathLeaf, externalPskIds } = commit;
  const fits = commit.externalInitCount === 1 && commit.removeCount <= 1 && commit.otherProposalCount === 0;
  if (pathLeaf === undefined || !fits) throw misfit();
  return { identity: pathLeaf.basicIdentity, removesLeaf: commit.removeCount === 1, externalPskIds };
}

function misfit(): MlsFormatError {
  return new MlsFormatError('The sender type of the commit does not fit its proposals.');
}
