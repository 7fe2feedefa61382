import type { Caller } from '#domain/caller.ts';
import type { LockedConversation } from '#domain/conversations/conversation.ts';
import { checkGroupInfo, storeGroupInfo } from '#domain/conversations/group-info.ts';
import { acceptWelcome } from '#domain/welcomes/accept-welcome.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/database.ts';

/** What a commit may bring along. */
export interface CommitAttachments {
  readonly groupId: Buffer;
  /** The epoch after the commit. */
  readonly epoch: number;
  readonly welcome: Buffer | undefined;
  readonly groupInfo: Buffer | undefined;
  /** Whose key packages the Welcome may name, besides the caller's. */
  readonly invited: readonly string[];
}

/** Those of a commit that brings nobody in. */
export function attachmentsOf(locked: LockedConversation, groupInfo: Buffer | undefined): CommitAttachments {
  return { groupId: locked.groupId, epoch: locked.epoch + 1, welcome: undefined, groupInfo, invited: [] };
}

/**
 * Stores a commit's Welcome and GroupInfo in its transaction, which holds the conversation's lock.
 * @throws AppError InvalidWelcome, KeyPackageNotFound, InvalidGroupInfo.
 */
export async function storeAttachments(
  deps: { readonly privacy: Privacy; readonly timeBucketSeconds: number },
  tx: Tx,
  caller: Caller,
  attachments: CommitAttachments,
): Promise<void> {
  const { groupId, epoch, welcome, groupInfo, invited } = attachments;
  if (welcome !== undefined) {
    await acceptWelcome(deps, tx, caller, { groupId, epoch, bytes: welcome, cipherSuite: undefined, invited });
  }
  if (groupInfo !== undefined) {
    checkGroupInfo(groupInfo, { groupId, epoch });
    await storeGroupInfo(deps, tx, { groupId, epoch, bytes: groupInfo });
  }
}
