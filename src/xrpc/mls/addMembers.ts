import { addMembers as addToConversation } from '#domain/membership/add-members.ts';
import { limits } from '#platform/limits.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/addMembers.defs.ts';
import { optionalBlob } from '#xrpc/blob-input.ts';

export const addMembers = (deps: Parameters<typeof addToConversation>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'addMembers',
    bodySizeBytesMax: limits.requestBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const newEpoch = await addToConversation(deps, caller, {
        conversationId: input.convoId,
        dids: input.didList,
        commit: optionalBlob(input.commit, 'InvalidCommit'),
        welcome: optionalBlob(input.welcomeMessage, 'InvalidWelcome'),
        groupInfo: optionalBlob(input.groupInfo, 'InvalidGroupInfo'),
        idempotencyKey: input.idempotencyKey,
      });
      return { success: true, newEpoch };
    },
  });
