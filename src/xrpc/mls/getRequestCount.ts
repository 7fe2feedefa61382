import { countChatRequests } from '#domain/chat-requests/count-chat-requests.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getRequestCount.defs.ts';

export const getRequestCount = (deps: Parameters<typeof countChatRequests>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller }) => {
      const { count, lastCreatedAt } = await countChatRequests(deps, caller);
      return { pendingCount: count, lastRequestAt: lastCreatedAt?.toISOString() };
    },
  });
