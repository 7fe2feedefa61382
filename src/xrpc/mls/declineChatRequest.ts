import { declineChatRequest as declineRequest } from '#domain/chat-requests/decline-chat-request.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/declineChatRequest.defs.ts';

export const declineChatRequest = (deps: Parameters<typeof declineRequest>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      await declineRequest(deps, caller, input.requestId);
      return { success: true };
    },
  });
