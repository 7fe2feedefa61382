import { createConversation } from '#domain/conversations/create-conversation.ts';
import { limits } from '#platform/limits.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/createConvo.defs.ts';
import { optionalBlob } from '#xrpc/blob-input.ts';
import { conversationView } from './views.ts';

export const createConvo = (deps: Parameters<typeof createConversation>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'createConvo',
    bodySizeBytesMax: limits.requestBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const conversation = await createConversation(deps, caller, {
        groupId: input.groupId,
        cipherSuite: input.cipherSuite,
        initialMembers: input.initialMembers ?? [],
        welcome: optionalBlob(input.welcomeMessage, 'InvalidWelcome'),
        groupInfo: optionalBlob(input.groupInfo, 'InvalidGroupInfo'),
        metadata: input.metadata,
        currentEpoch: input.currentEpoch,
        idempotencyKey: input.idempotencyKey,
      });
      return conversationView(conversation);
    },
  });
