import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { loadConversationFacts } from '#domain/conversations/load-conversation-facts.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { handshakesInForce } from './handshakes.ts';
import type { Handshakes } from './handshakes.ts';
import { defaultPolicy } from './policy.ts';
import type { PolicyInForce } from './policy.ts';
import { selectPolicy } from './store.ts';

/**
 * Reads the conversation's policy for a member. If the policy was never changed, `updatedAt` is the time when the
 * conversation was created.
 * @throws AppError ConvoNotFound, NotMember.
 */
export async function getPolicy(
  deps: { db: Db; privacy: Privacy; handshakes: Handshakes },
  caller: Caller,
  conversationId: string,
): Promise<PolicyInForce> {
  const groupId = parseConversationId(conversationId);
  await requireMember(deps, caller, groupId);
  const row = await selectPolicy(deps.db, groupId);
  if (row === undefined) {
    const { createdAt } = await loadConversationFacts(deps, groupId);
    const handshakes = handshakesInForce(deps.handshakes, defaultPolicy);
    return { ...defaultPolicy, handshakes, updatedAt: createdAt, updatedBy: undefined };
  }
  const { sealedUpdatedBy, ...policy } = row;
  const handshakes = handshakesInForce(deps.handshakes, policy);
  return { ...policy, handshakes, updatedBy: deps.privacy.unsealText('policy-author', [groupId], sealedUpdatedBy) };
}
