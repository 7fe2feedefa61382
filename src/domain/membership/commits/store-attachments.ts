import type { Caller } from '#domain/caller.ts';
import type { LockedConversation } from '#domain/conversations/conversation.ts';
import { prepareGroupInfo, storeGroupInfo } from '#domain/conversations/group-info/group-info.ts';
import type { PreparedGroupInfo } from '#domain/conversations/group-info/group-info.ts';
import { acceptWelcome } from '#domain/welcomes/accept-welcome.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { findActiveMember } from '../members/find-active-member.ts';
import { listActiveMembers } from '../members/list-active-members.ts';

/** The Welcome and the GroupInfo to store with a commit. */
export interface CommitAttachments {
  readonly groupId: Buffer;
  /** The epoch after the commit. */
  readonly epoch: number;
  readonly welcome: Buffer | undefined;
  readonly groupInfo: PreparedGroupInfo | undefined;
  /** DIDs of the people whose key packages the Welcome may use, in addition to the caller's. */
  readonly invited: readonly string[];
}

/** Builds the attachments of a commit that has no Welcome. */
export function attachmentsOf(locked: LockedConversation, groupInfo: PreparedGroupInfo | undefined): CommitAttachments {
  return { groupId: locked.groupId, epoch: locked.epoch + 1, welcome: undefined, groupInfo, invited: [] };
}

/** Runs `prepareGroupInfo` with `mayWrite` true only if the caller is an active member. */
export async function prepareMembersGroupInfo(
  deps: { readonly db: Db; readonly privacy: Privacy },
  caller: Caller,
  groupId: Buffer,
  bytes: Buffer | undefined,
): Promise<PreparedGroupInfo | undefined> {
  const mayWrite = bytes !== undefined && (await findActiveMember(deps, groupId, caller.did)) !== undefined;
  return prepareGroupInfo(deps, groupId, { bytes, mayWrite });
}

/**
 * Stores a commit's Welcome and GroupInfo. `tx` must be the commit's transaction, which holds the conversation's lock.
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
    const members = async (): Promise<string[]> => {
      const rosters = await listActiveMembers({ ...deps, db: tx }, [groupId]);
      return [...rosters.values()].flat().map(({ did }) => did);
    };
    await acceptWelcome(deps, tx, caller, { groupId, epoch, bytes: welcome, cipherSuite: undefined, invited, members });
  }
  if (groupInfo !== undefined) await storeGroupInfo(deps, tx, groupInfo, epoch);
}
