import { listChatRequests as listRequests } from '#domain/chat-requests/list-chat-requests.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/listChatRequests.defs.ts';

export const listChatRequests = (deps: Parameters<typeof listRequests>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, params }) => {
      const { status = 'pending', limit, cursor } = params;
      const page = await listRequests(deps, caller, { status, limit, cursor });
      return {
        requests: page.requests.map((request) => ({
          id: request.requestId,
          senderDid: request.senderDid,
          status: request.status,
          createdAt: request.createdAt.toISOString(),
          expiresAt: request.expiresAt.toISOString(),
          previewText: request.previewText,
          messageCount: request.messageCount,
          isGroupInvite: request.isGroupInvite,
          groupId: request.conversationId,
        })),
        cursor: page.cursor,
      };
    },
  });
