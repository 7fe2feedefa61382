import type { Caller } from '#domain/caller.ts';
import { refusalByReader, refusalFor } from '#domain/refusal-reasons.ts';
import { readCommit } from '#mls/messages/framing.ts';
import type { CommitContent, CommitFraming } from '#mls/messages/framing.ts';
import { MlsFormatError } from '#mls/encoding/mls-format-error.ts';
import { limits } from '#platform/limits.ts';

/** A commit whose framing was read; no lock is needed for that. */
export interface FramedCommit {
  readonly bytes: Buffer;
  /** The epoch that the commit ends. */
  readonly epoch: number;
}

/** A commit by a member of the group. */
export interface FramedMemberCommit extends FramedCommit {
  /** Undefined for a PrivateMessage. */
  readonly content: CommitContent | undefined;
}

/**
 * Reads a commit by a member of the group.
 * @throws AppError InvalidCommit for any other bytes, external commits included.
 */
export function parseMemberCommit(bytes: Buffer, groupId: Buffer): FramedMemberCommit {
  const { external, epoch, content } = parseCommit(bytes, groupId);
  if (external) throw refusalFor('InvalidCommit', 'externalCommit');
  return { bytes, epoch, content };
}

/** An external commit whose leaf carries the caller's DID. */
export interface FramedExternalCommit extends FramedCommit {
  readonly removedLeafIndex: number | undefined;
  readonly externalPskIds: readonly Uint8Array[];
}

/**
 * Reads an external commit. Its credential must be the caller's bare DID, as in key packages. The signature is checked
 * by the members, not by the service (RFC 9420 section 12.4.3.2).
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
