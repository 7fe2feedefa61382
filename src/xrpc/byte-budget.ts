import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import { isAppError } from '#platform/errors.ts';
import type { QuotaCharger } from '#quota/table/charge.ts';
import type { Decision } from '#quota/table/decision.ts';
import { rateLimitExceeded } from './response/rate-limit.ts';

/** The properties of a call that writes to a conversation. */
export interface ConversationWrite {
  readonly conversationId: string;
  /** All bytes that the call stores or forwards. */
  readonly sizeBytes: number;
  /** `joiner` means that a non-member may become a member by this call. */
  readonly by: 'member' | 'joiner';
}

/** Limits the bytes that an account and a conversation may write in a minute. */
export interface ByteBudget {
  /**
   * Charges the account of the caller.
   * @throws AppError RateLimitExceeded.
   */
  takeOwn(caller: Caller, sizeBytes: number): Promise<void>;
  /**
   * Charges the account, runs `write`, and then charges the conversation. The conversation is charged last, so that a
   * non-member cannot use up its budget.
   * @throws AppError RateLimitExceeded when the account has no budget left, or when the conversation has none and the
   * caller is a member. A non-member gets ConvoNotFound or NotMember whether or not the conversation has budget left.
   */
  within<Result>(caller: Caller, call: ConversationWrite, write: () => Promise<Result>): Promise<Result>;
}

const kibiByte = 1_024;

type MemberDeps = Parameters<typeof requireMember>[0];

export function createByteBudget(
  deps: MemberDeps & { readonly quota: Pick<QuotaCharger, 'take' | 'peek' | 'accountOf' | 'conversationOf'> },
): ByteBudget {
  const { quota } = deps;

  return {
    async takeOwn(caller, sizeBytes) {
      if (sizeBytes > 0) requireBudget(await quota.take('callerBytes', quota.accountOf(caller), kibOf(sizeBytes)));
    },
    async within(caller, call, write) {
      const { sizeBytes } = call;
      if (sizeBytes === 0) return write();
      const groupId = parseConversationId(call.conversationId);
      const conversation = quota.conversationOf(call.conversationId);
      // Both quotas are read in parallel, because a shared store then needs only one round trip.
      const taken = quota.take('callerBytes', quota.accountOf(caller), kibOf(sizeBytes));
      const peeked = quota.peek('conversationBytes', conversation, kibOf(sizeBytes));
      const isShared = taken instanceof Promise || peeked instanceof Promise;
      const [own, room] = isShared ? await Promise.all([taken, peeked]) : [taken, peeked];
      requireBudget(own);
      if (!room.allowed && (await isMember(deps, caller, { groupId, by: call.by }))) throw rateLimitExceeded(room);
      const result = await write();
      const charge = quota.take('conversationBytes', conversation, kibOf(sizeBytes));
      if (charge instanceof Promise) await charge;
      return result;
    },
  };
}

function requireBudget(decision: Decision): void {
  if (!decision.allowed) throw rateLimitExceeded(decision);
}

function kibOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / kibiByte);
}

/**
 * Returns true for a member, who may be told that the conversation has no budget left. Returns false for a non-member
 * who may join by this call, because `write` checks their permission.
 * @throws AppError ConvoNotFound, NotMember, for other non-members.
 */
async function isMember(
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
