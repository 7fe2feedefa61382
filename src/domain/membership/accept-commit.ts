import type { LockedConversation } from '#domain/conversations/conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { commitId, findStoredCommit } from '#domain/messages/store-commit.ts';
import type { AcceptedCommit } from '#domain/messages/store-commit.ts';
import { readCommit } from '#mls/framing.ts';
import { MlsFormatError } from '#mls/mls-format-error.ts';
import { limits } from '#platform/limits.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/database.ts';

/** A commit that may be stored, or one that was stored before by the same bytes. */
export type CommitVerdict =
  | { readonly kind: 'accepted'; readonly commit: AcceptedCommit }
  | { readonly kind: 'retry'; readonly epoch: number };

/** What a commit's framing says; checked before any lock is taken. */
export interface FramedCommit {
  readonly bytes: Buffer;
  /** The epoch that the commit ends. */
  readonly epoch: number;
}

/**
 * Reads a commit by a member of the group.
 * @throws AppError InvalidCommit for anything else, external commits included.
 */
export function parseMemberCommit(bytes: Buffer, groupId: Buffer): FramedCommit {
  if (bytes.length > limits.messageSizeBytesMax) throw domainError('InvalidCommit');
  try {
    const framing = readCommit(bytes);
    if (framing.external || !groupId.equals(framing.groupId)) throw domainError('InvalidCommit');
    return { bytes, epoch: framing.epoch };
  } catch (error) {
    if (error instanceof MlsFormatError) throw domainError('InvalidCommit');
    throw error;
  }
}

/**
 * Compare-and-set on the epoch (RFC 9420 section 14): under the conversation's lock, of all commits that end one epoch
 * exactly the first is accepted. A retry of a stored commit is recognised before the comparison.
 * @throws AppError EpochMismatch with `currentEpoch` when another commit won.
 */
export async function judgeCommit(
  deps: { privacy: Privacy },
  tx: Tx,
  locked: LockedConversation,
  commit: FramedCommit,
): Promise<CommitVerdict> {
  const id = commitId(deps.privacy, locked.groupId, commit.bytes);
  const madeEpoch = await findStoredCommit(tx, locked.groupId, id);
  if (madeEpoch !== undefined) return { kind: 'retry', epoch: madeEpoch };
  if (commit.epoch !== locked.epoch) throw domainError('EpochMismatch', { currentEpoch: locked.epoch });
  return { kind: 'accepted', commit: { bytes: commit.bytes, id } };
}
