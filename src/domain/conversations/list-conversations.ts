import { readConversationList } from '#domain/accounts/read-conversation-list.ts';
import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { cutToMembers } from '#domain/membership/members/count-members.ts';
import { SealError } from '#privacy/privacy.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import type { Conversation } from './conversation.ts';
import { loadConversations } from './load-conversations.ts';

/** The number of members after which a page ends early, so that large groups do not make a page expensive. */
const membersPerPageMax = 2_000;

/**
 * Lists at most `limit` of the caller's conversations after `cursor`, in the order of their ids.
 * @throws AppError InvalidCursor.
 */
export async function listConversations(
  deps: { db: Db; privacy: Privacy; messageTtlDays: number },
  caller: Caller,
  page: { limit: number; cursor: string | undefined },
): Promise<{ conversations: Conversation[]; cursor: string | undefined }> {
  const after = page.cursor === undefined ? Buffer.alloc(0) : openCursor(deps.privacy, caller, page.cursor);
  const groupIds = (await readConversationList(deps, caller.did))
    .filter((groupId) => Buffer.compare(groupId, after) > 0)
    .sort((a, b) => Buffer.compare(a, b));
  const shown = await cutToMembers(deps.db, groupIds.slice(0, page.limit), membersPerPageMax);
  const conversations = await loadConversations(deps, caller, shown);
  const last = shown.at(-1);
  const cursor =
    shown.length < groupIds.length && last !== undefined ? sealCursor(deps.privacy, caller, last) : undefined;
  return { conversations, cursor };
}

function sealCursor(privacy: Privacy, caller: Caller, groupId: Buffer): string {
  return privacy.sealText('page-cursor', ['getConvos', caller.did], groupId.toString('hex')).toString('base64url');
}

function openCursor(privacy: Privacy, caller: Caller, cursor: string): Buffer {
  try {
    return Buffer.from(
      privacy.unsealText('page-cursor', ['getConvos', caller.did], Buffer.from(cursor, 'base64url')),
      'hex',
    );
  } catch (error) {
    if (error instanceof SealError) throw domainError('InvalidCursor');
    throw error;
  }
}
