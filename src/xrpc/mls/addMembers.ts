import { addMembers as addToConversation } from '#domain/membership/add-members.ts';
import { limits } from '#platform/limits.ts';
import type { ByteBudget } from '#xrpc/byte-budget.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/addMembers.defs.ts';
import { optionalBlob, sizeOf } from '#xrpc/input/blob-input.ts';

export const addMembers = (
  deps: Parameters<typeof addToConversation>[0] & { readonly byteBudget: ByteBudget },
): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'addMembers',
    bodySizeBytesMax: limits.requestBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const { convoId: conversationId, didList: dids, idempotencyKey } = input;
      const blobs = {
        commit: optionalBlob(input.commit, 'InvalidCommit'),
        welcome: optionalBlob(input.welcomeMessage, 'InvalidWelcome'),
        groupInfo: optionalBlob(input.groupInfo, 'InvalidGroupInfo'),
      };
      const write = { conversationId, sizeBytes: sizeOf(blobs), by: 'member' } as const;
      const newEpoch = await deps.byteBudget.within(caller, write, () =>
        addToConversation(deps, caller, { conversationId, dids, ...blobs, idempotencyKey }),
      );
      return { success: true, newEpoch };
    },
  });
