import { listOptIns } from '#domain/opt-in/list-opt-ins.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getOptInStatus.defs.ts';

export const getOptInStatus = (deps: Parameters<typeof listOptIns>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, params }) => ({
      statuses: (await listOptIns(deps, caller, params.dids)).map(({ did, optedIn, optedInAt }) => ({
        did,
        optedIn,
        optedInAt: optedInAt?.toISOString(),
      })),
    }),
  });
