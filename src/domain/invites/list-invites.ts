import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { roles } from '#domain/membership/member.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import { loadPolicy } from '#domain/policies/load-policy.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import type { Invite } from './invite.ts';
import { openInvite } from './open-invite.ts';
import { selectInvites } from './store.ts';

/**
 * Lists the conversation's invites, newest first. Admins get all invites, and other members get their own if the policy
 * allows them to create invites.
 * @throws AppError ConvoNotFound, NotMember, NotAdmin.
 */
export async function listInvites(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  input: { conversationId: string; revoked: 'with-revoked' | 'live' },
): Promise<Invite[]> {
  const groupId = parseConversationId(input.conversationId);
  const isAdmin = (await requireMember(deps, caller, groupId)).role === roles.admin;
  if (!isAdmin && (await loadPolicy(deps.db, groupId)).adminOnlyInvites) throw domainError('NotAdmin');
  const invites = (await selectInvites(deps.db, groupId, input.revoked)).map((row) => openInvite(deps.privacy, row));
  return isAdmin ? invites : invites.filter(({ createdByDid }) => createdByDid === caller.did);
}
