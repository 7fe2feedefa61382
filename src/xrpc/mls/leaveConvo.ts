import { leaveConversation } from '#domain/membership/leave-conversation.ts';
import { limits } from '#platform/limits.ts';
import type { ByteBudget } from '#xrpc/byte-budget.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/leaveConvo.defs.ts';
import { optionalBlob, sizeOf } from '#xrpc/input/blob-input.ts';

export const leaveConvo = (
  deps: Parameters<typeof leaveConversation>[0] & { readonly byteBudget: ByteBudget },
): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    bodySizeBytesMax: limits.requestBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const { convoId: conversationId, targetDid } = input;
      const blobs = {
        commit: optionalBlob(input.commit, 'InvalidCommit'),
        groupInfo: optionalBlob(input.groupInfo, 'InvalidGroupInfo'),
      };
      const write = { conversationId, sizeBytes: sizeOf(blobs), by: 'member' } as const;
      const newEpoch = await deps.byteBudget.within(caller, write, () =>
        leaveConversation(deps, caller, { conversationId, targetDid, ...blobs }),
      );
      return { success: true, newEpoch };
    },
  });
