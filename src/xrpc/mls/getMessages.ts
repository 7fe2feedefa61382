import { listMessages } from '#domain/messages/list-messages.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getMessages.defs.ts';
import { messageView } from './views.ts';

export const getMessages = (deps: Parameters<typeof listMessages>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'getMessages',
    handler: async ({ caller, params }) => {
      const { convoId, sinceSeq, limit } = params;
      const page = await listMessages(deps, caller, { conversationId: convoId, sinceSeq, limit });
      return {
        messages: page.messages.map(messageView),
        lastSeq: page.lastSeq,
        gapInfo: page.gap && { hasGaps: true, ...page.gap },
      };
    },
  });
