import type { Caller } from '#domain/caller.ts';
import { formatConversationId, parseConversationId } from '#domain/conversations/conversation.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import { isAppError } from '#platform/errors.ts';
import type { QuotaCharger } from '#quota/table/charge.ts';
import type { Decision } from '#quota/table/decision.ts';
import { rateLimitExceeded } from './response/rate-limit.ts';

/** One call that writes to a conversation. */
export interface ConversationWrite {
  readonly conversationId: string;
  /** Everything in it that is stored or passed on. */
  readonly sizeBytes: number;
  /** `joiner`: whoever is no member may become one by this call. */
  readonly by: 'member' | 'joiner';
}

/** Limits bytes by account and by conversation. */
export interface ByteBudget {
  /** Charges the caller. @throws AppError RateLimitExceeded. */
  takeOwn(caller: Caller, sizeBytes: number): Promise<void>;
  /**
   * Charges the caller, runs `write`, and then charges the conversation: by then it is known that the caller may write
   * there, so nobody can use up the budget of a conversation that they are not in.
   * @throws AppError RateLimitExceeded, for the conversation's budget to members only; to anybody else ConvoNotFound or
   *   NotMember, as if there were room.
   */
  within<Answer>(caller: Caller, call: ConversationWrite, write: () => Promise<Answer>): Promise<Answer>;
}

const kibiByte = 1_024;

type MemberDeps = Parameters<typeof requireMember>[0];

export function createByteBudget(
  deps: MemberDeps & { readonly quota: Pick<QuotaCharger, 'take' | 'peek' | 'nameOf'> },
): ByteBudget {
  const { quota } = deps;

  return {
    async takeOwn(caller, sizeBytes) {
      if (sizeBytes > 0) requireRoom(await quota.take('callerBytes', caller.did, kibOf(sizeBytes)));
    },
    async within(caller, call, write) {
      const { sizeBytes } = call;
      if (sizeBytes === 0) return write();
      const groupId = parseConversationId(call.conversationId);
      const conversation = quota.nameOf('conversationBytes', formatConversationId(groupId));
      // Asked together, since a shared store answers both in one round trip.
      const [own, room] = await Promise.all([
        quota.take('callerBytes', caller.did, kibOf(sizeBytes)),
        quota.peek('conversationBytes', conversation, kibOf(sizeBytes)),
      ]);
      requireRoom(own);
      if (!room.allowed && (await mayKnow(deps, caller, { groupId, by: call.by }))) throw rateLimitExceeded(room);
      const answer = await write();
      await quota.take('conversationBytes', conversation, kibOf(sizeBytes));
      return answer;
    },
  };
}

function requireRoom(decision: Decision): void {
  if (!decision.allowed) throw rateLimitExceeded(decision);
}

function kibOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / kibiByte);
}

/**
 * Whether the caller may be told that the conversation is busy; a joiner who is no member goes on, and is judged by the call.
 * @throws AppError ConvoNotFound, NotMember.
 */
async function mayKnow(
  deps: MemberDeps,
  caller: Caller,
  { groupId, by }: { groupId: Buffer; by: ConversationWrite['by'] },
): Promise<boolean> {
  try {
    await requireMember(deps, caller, groupId);
    return true;
  } catch (error) {
    if (by === 'joiner' && isAppError(error)) return false;
    throw error;
  }
}
