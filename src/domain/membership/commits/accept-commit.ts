import type { Caller } from '#domain/caller.ts';
import type { LockedConversation } from '#domain/conversations/conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { commitId, findStoredCommit } from '#domain/messages/store-commit.ts';
import type { AcceptedCommit } from '#domain/messages/store-commit.ts';
import { refusalByReader, refusalFor } from '#domain/refusal-reasons.ts';
import { readCommit } from '#mls/messages/framing.ts';
import type { CommitContent, CommitFraming } from '#mls/messages/framing.ts';
import { MlsFormatError } from '#mls/encoding/mls-format-error.ts';
import { limits } from '#platform/limits.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';

/** A commit that may be stored, or one that was stored before by the same bytes. */
export type CommitDecision =
  | { readonly kind: 'accepted'; readonly commit: AcceptedCommit }
  | { readonly kind: 'retry'; readonly epoch: number };

/** What a commit's framing says; checked before any lock is taken. */
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
 * @throws AppError InvalidCommit for anything else, external commits included.
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
 * Reads a commit by which the caller joins. The credential must be the caller's bare DID, as in key packages; whether the signature
 * is right, the members check (RFC 9420 section 12.4.3.2).
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

/**
 * Compare-and-set on the epoch (RFC 9420 section 14): under the conversation's lock, of all commits that end one epoch
 * exactly the first is accepted. A retry of a stored commit is recognised before the comparison.
 * @throws AppError EpochMismatch with `currentEpoch` when another commit won.
 */
export async function decideCommit(
  deps: { privacy: Privacy },
  tx: Tx,
  locked: LockedConversation,
  commit: FramedCommit,
): Promise<CommitDecision> {
  const id = commitId(deps.privacy, locked.groupId, commit.bytes);
  const madeEpoch = await findStoredCommit(tx, locked.groupId, id);
  if (madeEpoch !== undefined) return { kind: 'retry', epoch: madeEpoch };
  if (commit.epoch !== locked.epoch) throw domainError('EpochMismatch', { currentEpoch: locked.epoch });
  return { kind: 'accepted', commit: { bytes: commit.bytes, id } };
}
