import type { LockedConversation } from '#domain/conversations/conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { commitId, findStoredCommit } from '#domain/messages/store-commit.ts';
import type { AcceptedCommit } from '#domain/messages/store-commit.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import type { FramedCommit } from './parse-commit.ts';

/**
 * Distinguishes a commit for the current epoch (`accepted`) from a commit that is already stored and started `epoch`
 * (`retry`).
 */
export type EpochComparison =
  | { readonly kind: 'accepted'; readonly commit: AcceptedCommit }
  | { readonly kind: 'retry'; readonly epoch: number };

/**
 * Compares the epoch of a commit with the conversation's epoch, unless the commit is already stored (RFC 9420 section
 * 14). `tx` holds the conversation's lock, so that only the first commit of an epoch is accepted.
 * @throws AppError EpochMismatch with `currentEpoch` when another commit ended the epoch.
 */
export async function compareEpoch(
  deps: { privacy: Privacy },
  tx: Tx,
  locked: LockedConversation,
  commit: FramedCommit,
): Promise<EpochComparison> {
  const id = commitId(deps.privacy, locked.groupId, commit.bytes);
  const storedEpoch = await findStoredCommit(tx, locked.groupId, id);
  if (storedEpoch !== undefined) return { kind: 'retry', epoch: storedEpoch };
  if (commit.epoch !== locked.epoch) throw domainError('EpochMismatch', { currentEpoch: locked.epoch });
  return { kind: 'accepted', commit: { bytes: commit.bytes, id } };
}
