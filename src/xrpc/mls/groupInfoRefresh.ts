import { askMembers } from '#domain/membership/rejoin/ask-members.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/groupInfoRefresh.defs.ts';

export const groupInfoRefresh = (deps: Parameters<typeof askMembers>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: ({ caller, input }) =>
      askMembers(deps, caller, { conversationId: input.convoId, request: 'groupInfoRefresh' }),
  });
