import { listConversations } from '#domain/conversations/list-conversations.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getConvos.defs.ts';
import { conversationView } from './views.ts';

export const getConvos = (deps: Parameters<typeof listConversations>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'getMessages',
    handler: async ({ caller, params }) => {
      const page = await listConversations(deps, caller, { limit: params.limit, cursor: params.cursor });
      return { conversations: page.conversations.map(conversationView), cursor: page.cursor };
    },
  });
