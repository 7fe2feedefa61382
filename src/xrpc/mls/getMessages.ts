import { listMessages } from '#domain/messages/list-messages.ts';
import { encodedQuery } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getMessages.defs.ts';
import { messagePageJson } from '#xrpc/response/page-json.ts';

export const getMessages = (deps: Parameters<typeof listMessages>[0]): MethodEndpoint =>
  encodedQuery({
    lexicon,
    auth: 'service-token',
    quota: 'getMessages',
    handler: async ({ caller, params }) => {
      const { convoId, sinceSeq, limit } = params;
      return messagePageJson(await listMessages(deps, caller, { conversationId: convoId, sinceSeq, limit }));
    },
  });
