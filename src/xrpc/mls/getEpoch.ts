import { getEpoch as readEpoch } from '#domain/conversations/get-epoch.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getEpoch.defs.ts';

export const getEpoch = (deps: Parameters<typeof readEpoch>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, params }) => ({
      convoId: params.convoId,
      currentEpoch: await readEpoch(deps, caller, params.convoId),
    }),
  });
