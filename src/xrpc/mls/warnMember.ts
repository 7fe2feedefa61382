import { warnMember as warnInConversation } from '#domain/warnings/warn-member.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/warnMember.defs.ts';
import { requestError } from '#xrpc/input/request-problems.ts';
import { inputTimeMs } from '#xrpc/input/time-input.ts';

export const warnMember = (deps: Parameters<typeof warnInConversation>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      const expiresAtMs = inputTimeMs(input.expiresAt);
      // An expiry in the past is refused, because the warning could not be delivered.
      if (expiresAtMs !== undefined && expiresAtMs <= deps.clock.nowMs()) throw requestError('warningEnded');
      const { id, deliveredAt } = await warnInConversation(deps, caller, {
        conversationId: input.convoId,
        targetDid: input.memberDid,
        reason: input.reason,
        expiresAtMs,
        idempotencyKey: input.idempotencyKey,
      });
      return { warningId: id, deliveredAt: deliveredAt.toISOString() };
    },
  });
