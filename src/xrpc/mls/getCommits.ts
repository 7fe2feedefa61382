import { listCommits } from '#domain/messages/list-messages.ts';
import { encodedQuery } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getCommits.defs.ts';
import { commitPageJson } from '#xrpc/response/page-json.ts';

export const getCommits = (deps: Parameters<typeof listCommits>[0]): MethodEndpoint =>
  encodedQuery({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, params }) => {
      const { convoId, fromEpoch, toEpoch } = params;
      return commitPageJson(convoId, await listCommits(deps, caller, { conversationId: convoId, fromEpoch, toEpoch }));
    },
  });
