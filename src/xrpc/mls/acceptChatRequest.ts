import { acceptChatRequest as acceptRequest } from '#domain/chat-requests/accept-chat-request.ts';
import { limits } from '#platform/limits.ts';
import { bufferOf } from '#xrpc/input/blob-input.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/acceptChatRequest.defs.ts';

export const acceptChatRequest = (deps: Parameters<typeof acceptRequest>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    bodySizeBytesMax: limits.requestBodySizeBytesMax,
    handler: async ({ caller, input: { requestId, welcomeData } }) => {
      const welcome = welcomeData === undefined ? undefined : bufferOf(welcomeData);
      const accepted = await acceptRequest(deps, caller, { requestId, welcome });
      return {
        convoId: accepted.conversationId,
        heldMessages: accepted.heldMessages.map(({ id, sequence, ciphertext, ephemeralPublicKey }) => ({
          id,
          ciphertext,
          paddedSize: ciphertext.length,
          sequence,
          ephPubKey: ephemeralPublicKey,
        })),
        acceptedAt: accepted.acceptedAt.toISOString(),
      };
    },
  });
