import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { listSharedConversations } from '#domain/membership/members/list-shared-conversations.ts';
import { recordKeyOf } from '#identity/block-records/fetch-block-records.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import type { BlockDeps } from './read-blockers.ts';

export interface BlockChange {
  readonly blockerDid: string;
  readonly blockedDid: string;
  readonly action: string;
  readonly blockUri: string | undefined;
}

/**
 * Lists the conversations that the caller shares with a person they have blocked or unblocked, so that the caller can
 * leave or remove the person. The caller must be the blocker, and their repository must show the change.
 * @throws AppError BlockNotVerified, BlueskyServiceUnavailable.
 */
export async function handleBlockChange(
  deps: BlockDeps & { readonly db: Db; readonly privacy: Privacy },
  caller: Caller,
  change: BlockChange,
): Promise<Buffer[]> {
  if (change.blockerDid !== caller.did || !(await isVerified(deps, change))) throw domainError('BlockNotVerified');
  // Nothing is stored and no one is notified, because the caller decides what to do in each conversation.
  return listSharedConversations(deps, caller, change.blockedDid);
}

async function isVerified({ blocks }: BlockDeps, change: BlockChange): Promise<boolean> {
  const { blockerDid, blockedDid, blockUri } = change;
  if (change.action === 'created' && blockUri !== undefined) {
    const recordKey = recordKeyOf(blockerDid, blockUri);
    const record = recordKey === undefined ? 'absent' : await blocks.blockAt(blockerDid, recordKey);
    if (record === 'unreadable') throw domainError('BlueskyServiceUnavailable');
    return record !== 'absent' && record.subjectDid === blockedDid;
  }
  if (change.action !== 'created' && change.action !== 'removed') return false;
  const list = await blocks.blocksOf(blockerDid, { refresh: 'force' });
  if (list === undefined) throw domainError('BlueskyServiceUnavailable');
  return list.has(blockedDid) === (change.action === 'created');
}
