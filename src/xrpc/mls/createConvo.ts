import { createConversation } from '#domain/conversations/create-conversation.ts';
import { limits } from '#platform/limits.ts';
import type { ByteBudget } from '#xrpc/byte-budget.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/createConvo.defs.ts';
import { optionalBlob, sizeOf } from '#xrpc/input/blob-input.ts';
import { conversationView } from './views.ts';

export const createConvo = (
  deps: Parameters<typeof createConversation>[0] & { readonly byteBudget: ByteBudget },
): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'createConvo',
    bodySizeBytesMax: limits.requestBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const blobs = {
        welcome: optionalBlob(input.welcomeMessage, 'InvalidWelcome'),
        groupInfo: optionalBlob(input.groupInfo, 'InvalidGroupInfo'),
      };
      await deps.byteBudget.takeOwn(caller, sizeOf(blobs));
      const conversation = await createConversation(deps, caller, {
        groupId: input.groupId,
        cipherSuite: input.cipherSuite,
        initialMembers: input.initialMembers ?? [],
        ...blobs,
        metadata: input.metadata,
        currentEpoch: input.currentEpoch,
        idempotencyKey: input.idempotencyKey,
      });
      return conversationView(conversation);
    },
  });
