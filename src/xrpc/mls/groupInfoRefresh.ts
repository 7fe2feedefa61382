import { sendHelpRequest } from '#domain/membership/rejoin/send-help-request.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/groupInfoRefresh.defs.ts';

export const groupInfoRefresh = (deps: Parameters<typeof sendHelpRequest>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: ({ caller, input }) =>
      sendHelpRequest(deps, caller, { conversationId: input.convoId, request: 'groupInfoRefresh' }),
  });
