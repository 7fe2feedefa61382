import { getPolicy as readPolicy } from '#domain/policies/get-policy.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getPolicy.defs.ts';
import { policyView } from './views.ts';

export const getPolicy = (deps: Parameters<typeof readPolicy>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, params }) => {
      return { policy: policyView(params.convoId, await readPolicy(deps, caller, params.convoId)) };
    },
  });
