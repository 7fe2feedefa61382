import { leaveConversation } from '#domain/membership/leave-conversation.ts';
import { limits } from '#platform/limits.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/leaveConvo.defs.ts';
import { optionalBlob } from '#xrpc/blob-input.ts';

export const leaveConvo = (deps: Parameters<typeof leaveConversation>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    bodySizeBytesMax: limits.requestBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const newEpoch = await leaveConversation(deps, caller, {
        conversationId: input.convoId,
        targetDid: input.targetDid,
        commit: optionalBlob(input.commit, 'InvalidCommit'),
      });
      return { success: true, newEpoch };
    },
  });
