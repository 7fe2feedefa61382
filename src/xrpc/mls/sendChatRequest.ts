import { sendChatRequest as sendRequest } from '#domain/chat-requests/send-chat-request.ts';
import { limits } from '#platform/limits.ts';
import { bufferOf } from '#xrpc/blob-input.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/sendChatRequest.defs.ts';

export const sendChatRequest = (deps: Parameters<typeof sendRequest>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'sendChatRequest',
    bodySizeBytesMax: limits.requestBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const sent = await sendRequest(deps, caller, {
        recipientDid: input.recipientDid,
        previewText: input.previewText,
        heldMessages: (input.heldMessages ?? []).map(({ ciphertext, paddedSize, ephPubKey }) => ({
          ciphertext: bufferOf(ciphertext),
          paddedSize,
          ephemeralPublicKey: ephPubKey === undefined ? undefined : bufferOf(ephPubKey),
        })),
        isGroupInvite: input.isGroupInvite ?? false,
        conversationId: input.groupId,
      });
      return {
        requestId: sent.requestId,
        status: sent.status,
        createdAt: sent.createdAt.toISOString(),
        expiresAt: sent.expiresAt.toISOString(),
        convoId: sent.conversationId,
      };
    },
  });
