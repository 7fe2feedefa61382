import type { Caller } from '#domain/caller.ts';
import { refusalByReader, refusalFor } from '#domain/refusal-reasons.ts';
import { readCommit } from '#mls/messages/framing.ts';
import type { CommitContent, CommitFraming } from '#mls/messages/framing.ts';
import { MlsFormatError } from '#mls/encoding/mls-format-error.ts';
import { limits } from '#platform/limits.ts';

/** The fields of a commit that are needed to compare its epoch. */
export interface FramedCommit {
  readonly bytes: Buffer;
  /** The epoch that the commit ends. */
  readonly epoch: number;
}

/** A member's commit, with its proposals if it is in clear. */
export interface FramedMemberCommit extends FramedCommit {
  /** Undefined for a PrivateMessage, because it is encrypted. */
  readonly content: CommitContent | undefined;
}

/**
 * Reads a commit that a member of the MLS group made.
 * @throws AppError InvalidCommit for bytes that are not a member's commit to this group.
 */
export function parseMemberCommit(bytes: Buffer, groupId: Buffer): FramedMemberCommit {
  const { external, epoch, content } = parseCommit(bytes, groupId);
  if (external) throw refusalFor('InvalidCommit', 'externalCommit');
  return { bytes, epoch, content };
}

/** An external commit whose new leaf has the caller's DID. */
export interface FramedExternalCommit extends FramedCommit {
  readonly removedLeafIndex: number | undefined;
  readonly externalPskIds: readonly Uint8Array[];
}

/**
 * Reads an external commit and checks that its credential is exactly the caller's DID. The service does not check the
 * signature, because the members do (RFC 9420 section 12.4.3.2).
 * @throws AppError InvalidCommit.
 */
export function parseExternalCommit(bytes: Buffer, groupId: Buffer, caller: Caller): FramedExternalCommit {
  const { joiner, epoch } = parseCommit(bytes, groupId);
  if (joiner === undefined) throw refusalFor('InvalidCommit', 'notExternal');
  if (joiner.identity === undefined || !Buffer.from(caller.did).equals(joiner.identity)) {
    throw refusalFor('InvalidCommit', 'externalIdentity');
  }
  return { bytes, epoch, removedLeafIndex: joiner.removedLeafIndex, externalPskIds: joiner.externalPskIds };
}

function parseCommit(bytes: Buffer, groupId: Buffer): CommitFraming {
  if (bytes.length > limits.messageSizeBytesMax) throw refusalFor('InvalidCommit', 'tooLarge');
  try {
    const framing = readCommit(bytes);
    if (!groupId.equals(framing.groupId)) throw refusalFor('InvalidCommit', 'otherGroup');
    return framing;
  } catch (error) {
    if (error instanceof MlsFormatError) throw refusalByReader('InvalidCommit', error);
    throw error;
  }
}
